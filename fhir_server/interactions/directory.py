"""A token may not contradict the directory: of a professional it knows, his profession is one the directory names.

A claim that contradicts another is a 401, and so is this one. An unknown RPPS, or an entry without a profession,
contradicts nothing. The directory of the requester's realm is asked once a minute for each profession of somebody, as
long as a verified token is remembered; never for each request.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, TypeAlias

from fhir_server.identity.refusal import invalid_token
from fhir_server.identity.token import REMEMBERED_FOR
from fhir_server.interactions.messages import told

if TYPE_CHECKING:
    from fhir_server.identity.requester import Requester
    from fhir_server.store.internal import Internal

_Stated: TypeAlias = "tuple[str, str, str | None, str | None]"

_MINUTE: Final = REMEMBERED_FOR * 1_000_000
_MOST: Final = 10_000


class Directory:
    """What the directory said of professionals a short time ago."""

    def __init__(self, internal: Internal) -> None:
        """Ask this store."""
        self.internal = internal
        self._agreed: OrderedDict[_Stated, tuple[int, bool]] = OrderedDict()

    async def must_agree(self, requester: Requester, now: int) -> None:
        """Raise 401 when the directory gives a professional other professions than his token does."""
        if requester.rpps is None:
            return
        stated = (requester.realm.value, requester.rpps, requester.profession_system, requester.profession)
        since, agrees = self._agreed.get(stated, (0, True))
        if not since <= now < since + _MINUTE:
            known = await self.internal.professions(requester.rpps, requester.realm.value)
            agrees = not known or (requester.profession_system, requester.profession) in known
            self._remember(stated, now, agrees=agrees)
        if not agrees:
            raise invalid_token(told("directory-contradicts"))

    def _remember(self, stated: _Stated, now: int, *, agrees: bool) -> None:
        self._agreed.pop(stated, None)
        self._agreed[stated] = (now, agrees)
        if len(self._agreed) > _MOST:
            self._agreed.popitem(last=False)
