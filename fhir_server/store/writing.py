"""Every way to write a resource. One resource is one document and one version check; nothing is ever half-written.

An update copies the previous version first, by upsert, then replaces where the version is still the one that was read.
A crash between the two leaves an exact copy of the current version, which history ignores and the retry finds there.
Where a write also changes the facts of a record, or what a document owns, all of it is one transaction.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from pymongo.errors import DuplicateKeyError

from fhir_server.fhir.errors import Conflict, Unprocessable
from fhir_server.fhir.outcome import IssueType
from fhir_server.record.elements import OWNED
from fhir_server.record.facts import UNKNOWN_RECORD, new_record
from fhir_server.record.facts import Document as FactsDocument
from fhir_server.search.predicate import all_of, any_of
from fhir_server.store.connection import Document, answering
from fhir_server.store.content_files import file_of, keep
from fhir_server.store.document import marker, previous
from fhir_server.store.filters import Filter, to_filter
from fhir_server.store.finding import Finding
from fhir_server.store.held_back import HeldBack
from fhir_server.store.inserting import Inserter
from fhir_server.store.internal import Internal
from fhir_server.store.keys import COLLECTION as CONTENT_KEYS
from fhir_server.store.messages import told
from fhir_server.store.owned import CONSENT_FIELDS, carried, carrying, first_to_point
from fhir_server.store.reading import Reading
from fhir_server.store.session import within
from fhir_server.store.transaction import Joined, Transactions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from pymongo.asynchronous.client_session import AsyncClientSession

    from fhir_server.search.predicate import Predicate
    from fhir_server.search.visible import Visible
    from fhir_server.store.connection import Database
    from fhir_server.store.held_back import Announced
    from fhir_server.store.reading import Stored

Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class FactChange:
    """How a write changes the facts of a record."""

    record: str
    realm: str
    apply: Callable[[FactsDocument], FactsDocument]


@dataclass(frozen=True, slots=True)
class Effects:
    """What else a write changes, in the same transaction."""

    facts: FactChange | None = None
    binaries: tuple[str, ...] = ()
    """The Binaries and FHIR documents (``Type/id``) a document points to: it becomes the owner of those without one."""
    owner: bool = False
    """The resource may own Binaries and FHIR documents, which follow its labels and its deletion."""
    beside: tuple[Document, ...] = ()
    """Other new resources, stored with it or not at all."""
    changed: tuple[tuple[Stored, Document], ...] = ()
    """Other resources and the versions that follow them, the same."""


_GIVEN: Final = (("owner", "_id"), ("record", "record"))
"""What a document gives to what becomes its own, for good, and which of its fields that is."""
MOST_HELPED: Final = 5
"""People a carer may help (A.4)."""


class VersionMoved(Conflict):
    """Somebody else wrote first: nothing was changed."""


class ForeignRecord(Unprocessable):
    """The record is of another realm: nothing was changed."""


@dataclass(frozen=True, slots=True)
class Existing:
    """What a conditional create found instead: the only match, or that there are several."""

    keys: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Parts:
    """The store as one transaction sees it."""

    reading: Reading
    finding: Finding
    internal: Internal
    writing: Writing
    database: Database
    """For who else keeps something in it: the contents of Binaries."""


class Writing:
    """The writing half of the store."""

    def __init__(
        self,
        database: Database,
        transactions: Transactions,
        conditions: dict[str, tuple[asyncio.Lock, int]] | None = None,
        held: HeldBack | None = None,
    ) -> None:
        """Write to this database; ``conditions`` are those that this process is evaluating now.

        ``held`` are the new resources that wait, where this writes within a transaction.
        """
        self._database = database
        self._transactions = transactions
        self._conditions = {} if conditions is None else conditions
        self._held = held
        self._inserter = Inserter(database["resources"])

    async def whole(self, work: Callable[[Parts], Awaitable[Done]], *, seconds: float, announced: Announced) -> Done:
        """Do work of many writes in one transaction: all of it is stored, or nothing.

        The work is begun again when the database asks for it, within so many seconds; it reads and writes through the
        parts it is given. Its traces may wait as its new resources do: ``announced`` makes them durable.
        """

        async def run(session: AsyncClientSession) -> Done:
            turn = asyncio.Lock()
            held = HeldBack(self._database["resources"], session, turn, announced)
            database = within(self._database, session, turn, held)
            joined = Writing(database, Joined(session), self._conditions, held)
            return await work(Parts(Reading(database), Finding(database), Internal(database), joined, database))

        with answering():
            return await self._transactions.run(run, seconds=seconds, large=True)

    async def send(self) -> None:
        """Send what waits of the transaction this writes in, to be committed."""
        if self._held is not None:
            with answering():
                await self._held.send()

    async def create(self, document: Document, effects: Effects) -> None:
        """Store a new resource; raise :class:`VersionMoved` when its id is taken."""

        async def work(session: AsyncClientSession | None) -> None:
            await self._write_beside(effects, session)
            await self._claim(document, effects, session, new=True)
            await self._insert(document, session)
            await self._change_facts(effects, session)
            await self._keep_content(document, session)

        seeks = document["rt"] == "Bundle" and document.get("made_by_put")  # who points to it already
        several = effects.facts or effects.binaries or effects.beside or effects.changed or "owner" in document or seeks
        await self._carry_out(work, whole=bool(several or file_of(document)))

    async def replace(self, old: Stored, document: Document, effects: Effects) -> None:
        """Store the next version; raise :class:`VersionMoved` when the stored one is no longer `old`."""
        follows = effects.owner and any(old.document[name] != document[name] for name in CONSENT_FIELDS)

        async def work(session: AsyncClientSession | None) -> None:
            await self._tell_trace(document)
            await self._write_beside(effects, session)
            await self._claim(document, effects, session)
            await self._swap(old, document, session)
            await self._change_facts(effects, session)
            await self._keep_content(document, session)

        several = effects.facts or effects.binaries or effects.beside or effects.changed or follows
        await self._carry_out(work, whole=bool(several or file_of(document)))

    async def delete(self, old: Stored, at: int, effects: Effects, trace: str) -> int:
        """Replace a resource by the marker of its deletion, what it owns with it; answer the marker's version.

        ``trace`` is the key of the trace that announced it.
        """
        gone = {**marker(dict(old.document), at), "trace": trace}

        async def work(session: AsyncClientSession | None) -> None:
            await self._tell_trace(gone)
            await self._swap(old, gone, session)
            if effects.owner:
                await self._delete_owned(old.key, at, gone["trace"], session)
            await self._change_facts(effects, session)

        await self._carry_out(work, whole=bool(effects.facts or effects.owner))
        return int(gone["version"])

    async def create_unless(
        self, asked: Predicate, visible: Sequence[Visible], document: Document, effects: Effects
    ) -> Existing:
        """Store a new resource unless something matches that one of these shows; equal conditions are serialised.

        Every create of one condition touches the same claim inside its transaction, so of two at once the second starts
        again and finds what the first stored. A claim nobody touched for a day goes by itself (`store.indexes`).
        """
        shown = any_of([one.predicate for one in visible])
        where: Filter = {**to_filter(all_of([asked, shown])), "gone": None}
        told = f"{document['realm']}\n{to_filter(asked)!r}"  # a filter is spelled the same in every process
        condition = f"condition/{hashlib.sha256(told.encode()).hexdigest()}"

        async def work(session: AsyncClientSession) -> Existing:
            claims = self._database["claims"]
            touch = {"$inc": {"n": 1}, "$currentDate": {"touched": True}}
            await claims.update_one({"_id": condition}, touch, upsert=True, session=session)
            cursor = self._database["resources"].find(where, {"_id": 1}, session=session).limit(2)
            found = tuple(str(one["_id"]) for one in await cursor.to_list())
            if not found:
                await self._write_beside(effects, session)
                await self._claim(document, effects, session, new=True)
                await self._insert(document, session)
                await self._change_facts(effects, session)
                await self._keep_content(document, session)
            return Existing(found)

        async with self._one_at_a_time(condition):
            with answering():
                return await self._transactions.run(work)

    @asynccontextmanager
    async def _one_at_a_time(self, condition: str) -> AsyncIterator[None]:
        """Within a process, queue instead of aborting each other's transactions."""
        lock, users = self._conditions.get(condition, (asyncio.Lock(), 0))
        self._conditions[condition] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._conditions.pop(condition)
            if users > 1:
                self._conditions[condition] = (lock, users - 1)

    async def _carry_out(self, work: Callable[[AsyncClientSession | None], Awaitable[None]], *, whole: bool) -> None:
        with answering():
            if whole:
                await self._transactions.run(work)
            else:
                await work(None)

    async def _insert(self, document: Document, session: AsyncClientSession | None, *, may_wait: bool = True) -> None:
        if "owner" in document and session is not None:
            document.update(carried(document, await self._of_owner(document["owner"], session)))
        elif document["rt"] == "Bundle" and document.get("made_by_put") and document["record"] is not None:
            # only a client that chooses ids can be pointed to before (ADR 0034)
            first = await first_to_point(self._database["resources"], document, session)
            if first is not None:
                document.update({"owner": first["_id"], **carried(document, first)})
        if self._held is not None and may_wait and self._held.takes(document):
            self._held.keep(document)
            return
        await self._tell_trace(document)
        try:
            if session is None and self._held is None:
                await self._inserter.insert(document)
            else:
                await self._database["resources"].insert_one(document, session=session)
        except DuplicateKeyError:
            raise VersionMoved(told("created-meanwhile", key=document["_id"])) from None

    async def _swap(self, old: Stored, document: Document, session: AsyncClientSession | None) -> None:
        where: Filter = {"_id": old.key, "version": old.version}
        if old.type in OWNED:
            # an owner may be given, and what is carried of it follows, without a new version
            followed = ("owner", "owner_labels", *CONSENT_FIELDS)
            where |= {name: old.document.get(name) for name in followed}
        copy = previous(dict(old.document))
        await self._database["versions"].update_one(
            {"_id": copy["_id"]}, {"$setOnInsert": copy}, upsert=True, session=session
        )
        swapped = await self._database["resources"].replace_one(where, document, session=session)
        if swapped.matched_count != 1:
            raise VersionMoved(told("changed-meanwhile", key=old.key))

    async def _tell_trace(self, document: Document) -> None:
        """Within a transaction, tell a resource that is sent now the key of its trace, which then is durable."""
        if self._held is not None:
            document["trace"] = await self._held.key_of(document["trace"])

    async def _claim(
        self, document: Document, effects: Effects, session: AsyncClientSession | None, *, new: bool = False
    ) -> None:
        """Make a document the owner of what it points to and has none (`record.elements.OWNED`); its own follow it.

        The document is told which are its own: they are read through its gate, so whoever sees it may know of them.
        """
        if not effects.owner or session is None:
            return
        resources = self._database["resources"]
        document.pop("owns", None)
        owns: list[str] = []
        sealed = False
        stored = list(effects.binaries)
        if self._held is not None:
            owns = self._held.claim(document, stored)
            sealed = any(_is_sealed(self._held.get(key) or {}) for key in owns)
            stored = [key for key in stored if self._held.get(key) is None]
        if stored:
            await resources.update_many(
                {
                    "_id": {"$in": stored},
                    "owner": None,
                    "gone": None,
                    "realm": document["realm"],
                    "deposit.by": document["deposit"]["by"],
                    "record": {"$in": [None, document["record"]]},  # a FHIR document may tell its record itself
                },
                [
                    {"$set": {name: {"$literal": document[told]} for name, told in _GIVEN}},
                    carrying(document),
                    {"$unset": "unowned"},
                ],
                session=session,
            )
            pointed = {"_id": {"$in": stored}, "owner": document["_id"]}
            mine = await resources.find(pointed, {"content.key": 1}, session=session).to_list()
            sealed = sealed or any(_is_sealed(one) for one in mine)
            owns += [str(one["_id"]) for one in mine]
        if owns:
            document["owns"] = sorted(owns)
        if sealed:
            # the keys that Binaries had of their own become keys of the record, and go with it
            own, whose = {"_id": {"$in": owns}, "record": None}, {"$set": {"record": document["record"]}}
            await self._database[CONTENT_KEYS].update_many(own, whose, session=session)
        if new and self._held is not None and self._held.takes(document):
            return  # nobody knew its id: nothing that is stored is its own, but for what it claimed
        await resources.update_many({"owner": document["_id"]}, [carrying(document)], session=session)

    async def _of_owner(self, owner: str, session: AsyncClientSession) -> Document:
        """Of the owner of a new Binary, what that carries, as the owner is now.

        The touch makes this and a concurrent change of the owner's labels, or its deletion, conflict: the one that
        begins again sees the other, so that nothing it owns stays behind with the labels of before.
        """
        held = await self._database["resources"].find_one_and_update(
            {"_id": owner, "gone": None}, {"$inc": {"touched": 1}}, dict.fromkeys(CONSENT_FIELDS, 1), session=session
        )
        if held is None:
            raise VersionMoved(told("deleted-meanwhile", key=owner))
        return {name: held[name] for name in CONSENT_FIELDS}

    async def _delete_owned(self, owner: str, at: int, trace: str, session: AsyncClientSession | None) -> None:
        resources = self._database["resources"]
        cursor = resources.find({"owner": owner, "gone": None}, session=session)
        for owned in await cursor.to_list():
            copy = previous(owned)
            await self._database["versions"].update_one(
                {"_id": copy["_id"]}, {"$setOnInsert": copy}, upsert=True, session=session
            )
            gone = {**marker(owned, at), "trace": trace}
            await resources.replace_one({"_id": owned["_id"]}, gone, session=session)

    async def _keep_content(self, document: Document, session: AsyncClientSession | None) -> None:
        """The file of a large content stays for as long as this version does (`content_files`)."""
        file = file_of(document)
        if file is not None and session is not None:
            await keep(self._database, file, session)

    async def _write_beside(self, effects: Effects, session: AsyncClientSession | None) -> None:
        for one in effects.beside:
            # a notification has an id that another worker may have given it too
            await self._insert(dict(one), session, may_wait=False)
            await self._keep_content(one, session)
        for old, document in effects.changed:
            await self._tell_trace(document)
            await self._swap(old, document, session)

    async def _change_facts(self, effects: Effects, session: AsyncClientSession | None) -> None:
        change = effects.facts
        if change is None:
            return
        records = self._database["records"]
        held = await records.find_one({"_id": change.record}, session=session)
        known = held or new_record(change.record, change.realm)
        if known["realm"] != change.realm:
            # a trial may not change what holds for care, nor the reverse: the record is not known in this realm
            raise ForeignRecord(UNKNOWN_RECORD, code=IssueType.NOT_FOUND)
        told = {**change.apply(known), "rev": known["rev"] + 1}
        for carer in set(told.get("carers", ())) - set(known.get("carers", ())):
            await self._must_be_few(carer, change, session)
        await records.replace_one({"_id": change.record}, told, upsert=True, session=session)

    async def _must_be_few(self, carer: str, change: FactChange, session: AsyncClientSession | None) -> None:
        """Raise when this person already helps as many as he may (A.4); acceptances of one carer are serialised."""
        claim = f"carer/{change.realm}/{carer}"
        touch = {"$inc": {"n": 1}, "$currentDate": {"touched": True}}
        await self._database["claims"].update_one({"_id": claim}, touch, upsert=True, session=session)
        where: Filter = {
            "carers": carer,
            "carers.0": {"$exists": True},
            "realm": change.realm,
            "_id": {"$ne": change.record},
        }
        if await self._database["records"].count_documents(where, session=session, limit=MOST_HELPED) >= MOST_HELPED:
            raise Unprocessable(
                told("too-many-helped", most=MOST_HELPED),
                expression=("Consent.status",),
                code=IssueType.BUSINESS_RULE,
            )


def _is_sealed(binary: Document) -> bool:
    return "key" in binary.get("content", {})
