"""Verification of bearer tokens: JWT signed with RS256 or ES256 by an issuer this server trusts.

https://www.rfc-editor.org/rfc/rfc7519 and, for what can go wrong, https://www.rfc-editor.org/rfc/rfc8725

A token brings no key and no address of one (``jwk``, ``jku``, ``x5u`` are refused); its ``kid`` picks among the keys of
the issuer it names, and the key, not the token, decides the algorithm.

A verified token is remembered for a minute at most, never beyond its ``exp``, and only while the issuer's key file has
not changed. What is remembered is found by the SHA-256 of the token; the token itself is not kept.
"""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from joserfc import jws
from joserfc.errors import JoseError

from fhir_server.fhir.errors import Malformed, Unavailable
from fhir_server.fhir.json import JsonObject, decode_object
from fhir_server.fhir.outcome import IssueType
from fhir_server.identity.claims import requester
from fhir_server.identity.keys import ES256, RS256, IssuerKeys, KeyRing, TrustedIssuer, VerificationKey
from fhir_server.identity.messages import told
from fhir_server.identity.refusal import invalid_token, no_token
from fhir_server.identity.requester import Requester
from fhir_server.identity.tree import Tree

LONGEST_HEADER: Final = 8192
"""Bytes of an Authorization header. Tokens with every claim we read stay under two thousand."""
SKEW: Final = 5
"""Seconds by which an issuer's clock may be ahead of ours (``nbf``, ``iat``). ``exp`` has no such grace."""
REMEMBERED_FOR: Final = 60
MOST_REMEMBERED: Final = 10_000

_BEARER = re.compile(r"(?i:bearer) +(([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+)")
_HEADER_MEMBERS = frozenset({"alg", "kid", "typ", "x5t", "x5t#S256"})
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_REGISTRY = jws.JWSRegistry(algorithms=[RS256, ES256])


@dataclass(frozen=True, slots=True)
class _Remembered:
    requester: Requester
    since: float
    until: float
    keys: IssuerKeys
    ring: KeyRing


class Verifier:
    """Turns the Authorization header of a request into its requester."""

    def __init__(self, base_url: str, issuers: Iterable[TrustedIssuer]) -> None:
        """Trust these issuers, for tokens whose audience is this base URL.

        Raises:
            KeysUnusable: the key file of an issuer cannot be used.
            ValueError: two issuers have the same URL.
        """
        self._audience = base_url.rstrip("/")
        self._issuers: dict[str, IssuerKeys] = {}
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()
        for issuer in issuers:
            if issuer.url in self._issuers:
                raise ValueError(f"The issuer {issuer.url} is declared twice.")
            self._issuers[issuer.url] = IssuerKeys(issuer)

    def verify(self, authorization: str | None, *, now: float) -> Requester:
        """Give the requester that an Authorization header proves; ``now`` in seconds since 1970.

        Raises:
            Unauthenticated: no token, or one that does not hold.
            PurposeRefused: the token holds, and its purpose does not fit its requester (403).
            Unavailable: the keys of the issuer cannot be read at the moment.
        """
        if authorization is None:
            raise no_token()
        if len(authorization) > LONGEST_HEADER:
            raise invalid_token(told("header-too-long", most=LONGEST_HEADER))
        if not authorization.isascii():
            raise invalid_token(told("header-not-ascii"))
        digest = sha256(authorization.encode("ascii"), usedforsecurity=False).digest()
        known = self._remembered.get(digest)
        if known is not None:
            if known.since <= now < known.until and known.keys.current(now) is known.ring:
                return known.requester
            self._remembered.pop(digest, None)
        verified = self._verify(authorization, now)
        self._remember(digest, verified, now)
        return verified.requester

    def _verify(self, authorization: str, now: float) -> _Remembered:
        match = _BEARER.fullmatch(authorization)
        if match is None:
            if authorization[:7].lower() == "bearer ":
                raise invalid_token(told("no-jwt"))
            raise no_token()
        token, header, claims = match[1], _part(match[2], "header"), _part(match[3], "payload")
        _check_header(header)
        keys = self._keys(claims)
        ring = keys.current(now)
        if ring is None:
            raise Unavailable(told("keys-unreadable"))
        # From here on the claims are proved: the signature covers the very text they were read from.
        _check_signature(token, _key(header, ring))
        expires = self._check_claims(claims, now)
        proved = requester(claims, keys.issuer.realm)
        return _Remembered(proved, now, min(now + REMEMBERED_FOR, expires), keys, ring)

    def _keys(self, unverified: JsonObject) -> IssuerKeys:
        """The keys to try, by the issuer that the token claims; its signature proves the claim afterwards."""
        issuer = unverified.get("iss")
        keys = self._issuers.get(issuer) if isinstance(issuer, str) else None
        if keys is None:
            raise invalid_token(told("issuer"))
        return keys

    def _check_claims(self, claims: JsonObject, now: float) -> int:
        """Check times and audience; give the second at which the token expires."""
        token = Tree(claims)
        expires = token.required_moment("exp")
        if now >= expires:
            raise invalid_token(told("expired"), code=IssueType.EXPIRED)
        if token.required_moment("iat") > now + SKEW:
            raise invalid_token(told("issued-in-the-future"))
        if (token.moment("nbf") or 0) > now + SKEW:
            raise invalid_token(told("not-yet"))
        audience = claims.get("aud")
        meant_for = token.texts("aud") if isinstance(audience, list) else (token.required_text("aud"),)
        if self._audience not in meant_for:
            raise invalid_token(told("audience"))
        return expires

    def _remember(self, digest: bytes, verified: _Remembered, now: float) -> None:
        remembered = self._remembered
        # The oldest are first: those whose minute is over go, and one more when there is no room.
        while remembered:
            oldest = next(iter(remembered.values()))
            if oldest.since + REMEMBERED_FOR > now and len(remembered) < MOST_REMEMBERED:
                break
            remembered.popitem(last=False)
        remembered[digest] = verified


def _part(text: str, name: str) -> JsonObject:
    """The JSON object in one part of a token."""
    try:
        return decode_object(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, Malformed):
        raise invalid_token(told("part", name=name)) from None


def _check_header(header: JsonObject) -> None:
    # Before the closed list, so that the usual attack gets the sentence that says what is wrong with it.
    if header.get("alg") not in (RS256, ES256):
        raise invalid_token(told("algorithm"))
    if not header.keys() <= _HEADER_MEMBERS:
        raise invalid_token(told("jwt-header"))
    if not isinstance(header.get("kid", ""), str):
        raise invalid_token(told("kid"))
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise invalid_token(told("typ"))


def _key(header: JsonObject, ring: KeyRing) -> VerificationKey:
    kid = header.get("kid")
    key = ring.find(kid if isinstance(kid, str) else None)
    if key is None:
        raise invalid_token(told("no-such-key"))
    if key.algorithm != header["alg"]:
        raise invalid_token(told("other-algorithm"))
    return key


def _check_signature(token: str, key: VerificationKey) -> None:
    try:
        jws.deserialize_compact(token, key.key, algorithms=[key.algorithm], registry=_REGISTRY)
    except (JoseError, ValueError, TypeError):
        raise invalid_token(told("signature")) from None
