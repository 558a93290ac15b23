"""The front door: an ASGI application that turns a request into an exchange, and its answer into HTTP.

Nothing goes out before its trace is durable (ADR 0007). Every refusal is an OperationOutcome; an exception nobody
expected is a 500 that tells nothing, logged with the request's id.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import structlog

from fhir_server import log
from fhir_server.fhir.errors import FhirError, Invalid, NotAcceptable, NotAllowed, TooLarge, Unavailable
from fhir_server.fhir.outcome import IssueType
from fhir_server.http import contents, metrics
from fhir_server.http.agent import agent_of
from fhir_server.http.conditions import is_current, take_conditions
from fhir_server.http.messages import told
from fhir_server.http.negotiation import (
    FORM,
    Form,
    Spoken,
    Wish,
    form_of_patch,
    form_sent,
    must_be,
    spoken_in,
    wish_of,
)
from fhir_server.http.performing import OF_REPRESENTATION, READS, SEARCHES, form_pairs, perform
from fhir_server.http.request import (
    ClientGone,
    Incoming,
    Request,
    parts_of,
    preferences,
    read_body,
    read_request,
    request_id_of,
)
from fhir_server.http.response import Response, not_modified, of_answer
from fhir_server.http.routes import Interaction, Route, Routes
from fhir_server.http.sending import send_parts, send_whole
from fhir_server.http.turns import Turns
from fhir_server.identity.requester import PurposeRefused
from fhir_server.interactions.answer import Answer
from fhir_server.interactions.batch import batch, bundle_of
from fhir_server.interactions.capabilities import capabilities
from fhir_server.interactions.entries import Call
from fhir_server.interactions.exchange import Account, Exchange, Server
from fhir_server.interactions.notify import conclude
from fhir_server.interactions.patch_format import format_of, of_entry
from fhir_server.interactions.search import parse_pairs
from fhir_server.interactions.transaction import transaction

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping, Sequence

    from fhir_server.http.representation import Representations
    from fhir_server.identity.requester import Requester
    from fhir_server.identity.token import Verifier

_logger = structlog.get_logger("fhir_server.http")

_WRITES: Final = frozenset({Interaction.CREATE, Interaction.UPDATE, Interaction.PATCH, Interaction.DELETE})
_SAFE: Final = frozenset({"GET", "HEAD"})
_BUNDLES: Final = frozenset({Interaction.BATCH, Interaction.TRANSACTION})
"""One door: the Bundle itself says which of the two it is."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may take."""

    body: int
    """Bytes."""
    bundle: int
    """Bytes of a Bundle to be carried out; each resource in it may have those of a body."""
    content: int
    """Bytes of the content of a Binary that is sent as what it is."""
    pause: float
    """Seconds between two parts of a body."""


class Internal(FhirError):
    """Something nobody expected."""


@dataclass(frozen=True, slots=True)
class _Admitted:
    """Where a request goes and who asks; nobody, for what is open to everybody."""

    route: Route
    requester: Requester | None
    refusal: PurposeRefused | None
    """A purpose that does not fit is refused once the exchange began, so that the attempt is traced."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request routed and authenticated."""

    request: Request
    route: Route
    pairs: list[tuple[str, str]]
    body: bytes
    exchange: Exchange


class Front:
    """The FHIR endpoint as an ASGI application."""

    def __init__(
        self,
        server: Callable[[], Server],
        routes: Routes,
        verifier: Verifier,
        representations: Representations,
        base_path: str,
        limits: Limits,
    ) -> None:
        """``server`` gives what was made at start; ``base_path`` is the path below which FHIR is served."""
        self._server = server
        self._routes = routes
        self._verifier = verifier
        self._representations = representations
        self._base_path = base_path
        self._limits = limits
        self._turns = Turns()

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        """Answer one request."""
        began = time.perf_counter()
        interaction = "unknown"
        request_id = request_id_of(scope)
        requester: Requester | None = None
        spoken = spoken_in(scope)
        incoming = Incoming(receive)
        try:
            request = read_request(scope, self._base_path, request_id)
            admitted = self._admit(request)
            requester = admitted.requester
            interaction = admitted.route.interaction.value
            response = await self._respond(request, admitted, spoken, incoming)
        except ClientGone:
            metrics.count(interaction, 499, began)
            return
        except FhirError as error:
            response = self._refused(error, spoken)
            if response.status >= 500:  # noqa: PLR2004 - the server's fault
                _logger.exception("unavailable", request=request_id, interaction=interaction)
        except Exception:
            _logger.exception("failed", request=request_id, interaction=interaction)
            response = self._refused(Internal(told("failed")), spoken)
        metrics.count(interaction, response.status, began)
        _logger.info(
            "answered",
            request=request_id,
            interaction=interaction,
            status=response.status,
            milliseconds=round((time.perf_counter() - began) * 1000, 1),
            requester=log.hashed(requester.key) if requester is not None else None,
        )
        if response.parts is not None:
            await send_parts(send, incoming, response, response.parts, request_id)
        else:
            await send_whole(send, incoming, response, request_id, head=scope["method"] == "HEAD")

    def refusal(self, error: FhirError, scope: MutableMapping[str, Any]) -> Response:
        """A refusal in the representation asked for, also of what is not below the base."""
        return self._refused(error, spoken_in(scope))

    def _refused(self, error: FhirError, spoken: Spoken) -> Response:
        return self._representations.refused(error, spoken.form, pretty=spoken.pretty, language=spoken.language)

    def _admit(self, request: Request) -> _Admitted:
        """Who asks, then what for; the capability statement is for everybody."""
        requester: Requester | None = None
        refusal: PurposeRefused | None = None
        if request.segments != ("metadata",):
            try:
                requester = self._verifier.verify(request.headers.get("authorization"), now=time.time())
            except PurposeRefused as refused:
                requester, refusal = refused.requester, refused
        return _Admitted(self._routes.find(request.method, request.segments), requester, refusal)

    async def _respond(self, request: Request, admitted: _Admitted, spoken: Spoken, incoming: Incoming) -> Response:
        route, requester = admitted.route, admitted.requester
        server = self._server()
        if requester is None:
            pairs = request.pairs()
            _must_be_pretty_or_not(pairs)
            spoken.wish.must_be_offered(binary=False)
            stated = of_answer(capabilities(server, pairs), returning="representation", writing=False)
            return self._representations.constant(stated, spoken.form, pretty=spoken.pretty)
        exchange = self._exchange(server, request, route, requester, spoken)
        await server.directory.must_agree(requester, exchange.now)
        try:
            if admitted.refusal is not None:
                raise admitted.refusal  # noqa: TRY301 - refused here so that the attempt is traced below
            pairs = request.pairs()
            _must_be_pretty_or_not(pairs)
            exchange.natively = contents.natively(request, route)
            if exchange.natively is None:
                spoken.wish.must_be_offered(binary=contents.takes_content(route))
            take_conditions(exchange, route, request.headers, request.line)
            body = await self._body(request, route, exchange, spoken, incoming)
            if route.interaction in SEARCHES and body:
                _take_form(spoken, body)
            asked = _Asked(request, route, [one for one in pairs if one[0] not in OF_REPRESENTATION], body, exchange)
            answer = await self._perform(asked)
            response = await self._written(asked, answer, spoken)
        except ClientGone:
            raise
        except FhirError as error:
            contents.leave_unread(exchange, request, incoming, error)
            await _trace_refusal(exchange, error)
            raise
        except Exception:
            if not exchange.account.announced:
                await exchange.trace(500)
            raise
        if not exchange.account.announced and route.interaction not in _BUNDLES:
            await conclude(exchange, answer.status)
        return response

    async def _written(self, asked: _Asked, answer: Answer, spoken: Spoken) -> Response:
        """The answer as HTTP. Only what changed nothing may be refused for what XML cannot say, and is traced so."""
        route = asked.route
        if route.interaction in READS and is_current(asked.request.headers, answer):
            return not_modified(answer)
        if answer.native is not None:
            return await contents.of_native(asked.request, answer, answer.native)
        written = of_answer(
            answer,
            returning=asked.exchange.return_preference,
            writing=route.interaction in _WRITES,
            language=spoken.language,
        )
        if route.method not in _SAFE and route.interaction not in SEARCHES:
            return self._representations.done(written, spoken.form, pretty=spoken.pretty, language=spoken.language)
        try:
            return self._representations.written(written, spoken.form, pretty=spoken.pretty)
        except NotAcceptable:
            spoken.wish = Wish(Form.JSON)  # the refusal says to ask for JSON, and is written in it
            asked.exchange.account.withhold()
            raise

    def _exchange(
        self, server: Server, request: Request, route: Route, requester: Requester, spoken: Spoken
    ) -> Exchange:
        headers = request.headers
        preferred = preferences(headers.get("prefer"))
        account = _account(route, request.line)
        return Exchange(
            server=server,
            requester=requester,
            agent=agent_of(requester),
            now=server.clock(),
            address=request.address,
            patch_format=format_of(headers.get("content-type")),
            request_id=request.request_id,
            account=account,
            strict=preferred.get("handling") == "strict",
            return_preference=preferred.get("return", "representation"),
            language=spoken.language,
            preferred_language=spoken.preferred,
        )

    async def _body(
        self, request: Request, route: Route, exchange: Exchange, spoken: Spoken, receive: Incoming
    ) -> bytes:
        content_type = request.headers.get("content-type")
        if contents.is_raw(route, content_type):
            # asked for part by part, when it was decided that it may be stored
            limits = self._limits
            parts = parts_of(receive, request.headers, limit=limits.content, pause=limits.pause)
            contents.take_content(request, exchange, spoken, parts)
            return b""
        form = Form.JSON
        if request.method == "PATCH":
            form = form_of_patch(content_type)
        elif request.method == "POST" and route.interaction in SEARCHES:
            if content_type is not None:
                must_be(content_type, FORM)
        elif route.interaction is Interaction.OPERATION and request.method == "POST" and content_type is None:
            body = await read_body(receive, request.headers, limit=self._limits.body, pause=self._limits.pause)
            if body:
                form_sent(content_type)  # without parameters there is no body, and so no type of it
            return body
        elif request.method in ("POST", "PUT"):
            form = form_sent(content_type)
        else:
            return b""
        # XML is turned into JSON at one go, while nobody else is answered: not of more than a resource may have
        large = route.interaction in _BUNDLES and form is Form.JSON
        limit = self._limits.bundle if large else self._limits.body
        body = await read_body(receive, request.headers, limit=limit, pause=self._limits.pause)
        read = self._representations.read(body, form, limit=limit)
        if contents.takes_content(route):
            if contents.is_content(read, content_type or "", exchange.server.definitions.resource_types):
                contents.take_content(request, exchange, spoken, contents.at_once(body))
            else:
                contents.must_not_name_owner(request.headers)
        return read

    async def _perform(self, asked: _Asked) -> Answer:
        if asked.route.interaction in _BUNDLES:
            async with self._turns.of(len(asked.body)):
                bundle = bundle_of(asked.body)
                if bundle.get("type") == "transaction":
                    return await transaction(asked.exchange, asked.body, bundle, self._perform_entry)
                return await batch(asked.exchange, asked.body, bundle, lambda call: self._perform_call(asked, call))
        return await perform(asked.exchange, asked.route, asked.pairs, asked.body, asked.request.line)

    async def _perform_call(self, asked: _Asked, call: Call) -> Answer:
        """One entry of a batch: decided and traced by itself; refusals are raised here, to be traced below."""
        exchange = asked.exchange.part("batch")
        try:
            answer = await self._perform_entry(exchange, call)
        except FhirError as error:
            await _trace_refusal(exchange, error)
            raise
        except Exception:
            _logger.exception("failed", request=exchange.request_id, interaction=exchange.account.interaction)
            if not exchange.account.announced:
                await exchange.trace(500)
            raise Internal(told("entry-failed")) from None
        if not exchange.account.announced:
            await conclude(exchange, answer.status)
        return answer

    async def _perform_entry(self, exchange: Exchange, call: Call) -> Answer:
        """One entry of a Bundle, routed and performed as a request of its own; nothing is traced here."""
        path, _, query = call.url.partition("?")
        route = self._routes.find(call.method, tuple(part for part in path.split("/") if part))
        if route.interaction in _BUNDLES or route.interaction is Interaction.CAPABILITIES:
            raise NotAllowed(told("not-within-a-bundle", interaction=route.interaction))
        headers = dict(call.headers)
        line = f"{call.method} /{call.url}".encode()
        exchange.account = _account(route, line)
        take_conditions(exchange, route, headers, line)
        if route.interaction in (Interaction.CREATE, Interaction.UPDATE, Interaction.PATCH) and call.body is None:
            raise Invalid(told("no-resource"), code=IssueType.REQUIRED)
        body = call.body or b""
        if len(body) > self._limits.body:
            raise TooLarge(told("resource-too-long", size=len(body), limit=self._limits.body))
        if route.interaction is Interaction.PATCH:
            exchange.patch_format, body = of_entry(body)
        pairs = [one for one in parse_pairs(query) if one[0] not in OF_REPRESENTATION]
        answer = await perform(exchange, route, pairs, body, line)
        if route.interaction in READS and is_current(headers, answer):
            return Answer(HTTPStatus.NOT_MODIFIED, version=answer.version, at=answer.at)
        return replace(answer, body=None) if call.method == "HEAD" else answer


def _account(route: Route, line: bytes) -> Account:
    """What is known of a request before anything is looked up; of an operation or a condition, which one it is."""
    account = Account(route.interaction.value, route.type)
    if route.interaction is Interaction.SEARCH_COMPARTMENT:
        # R4 has no code for it: of one type it is a search of that type, of all types one of the system
        searched = Interaction.SEARCH_TYPE if route.member else Interaction.SEARCH_SYSTEM
        account = Account(searched.value, route.member)
    elif route.id is not None:
        account.target = f"{route.type}/{route.id}"
    if route.operation is not None or route.on_condition:
        account.query = line
    return account


def _must_be_pretty_or_not(pairs: Sequence[tuple[str, str]]) -> None:
    if next((value for name, value in pairs if name == "_pretty"), "false") not in ("true", "false"):
        raise Invalid(told("pretty"), expression=("http._pretty",))


def _take_form(spoken: Spoken, body: bytes) -> None:
    """A search by POST may tell its representation in the form, as it does its other parameters."""
    pairs = dict(reversed(form_pairs(body)))
    format = pairs.get("_format")
    _must_be_pretty_or_not([*pairs.items()])
    spoken.pretty = spoken.pretty or pairs.get("_pretty") == "true"
    if format is not None:
        spoken.wish = wish_of(None, format, None)
        spoken.wish.must_be_offered(binary=False)


async def _trace_refusal(exchange: Exchange, error: FhirError) -> None:
    """A refused attempt is in the trail too; where not even that can be written, the answer is 503."""
    if exchange.account.announced or isinstance(error, Unavailable):
        return
    await exchange.find_record_of_refusal()
    await exchange.trace(error.status)
