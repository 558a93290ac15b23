"""One request on its way through: who asks, when, and what the trail will say of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from fhir_server.audit.access import Access, Identifier
from fhir_server.audit.sealed import Sealed
from fhir_server.consent.circumstances import PATIENT_SIDE, Act, circumstances
from fhir_server.consent.decide import Decision, closed, decide
from fhir_server.consent.rules import OF_ONE_RECORD
from fhir_server.fhir.outcome import Language
from fhir_server.identity.requester import Kind
from fhir_server.identity.scope import scopes
from fhir_server.interactions.known import Known
from fhir_server.interactions.natively import Allowance
from fhir_server.interactions.patch_format import PatchFormat
from fhir_server.record.elements import ABOUT, OWNED, SEVERAL
from fhir_server.record.facts import NO_RECORD, Facts
from fhir_server.record.labels import INVISIBLE, INVISIBLE_PATIENT
from fhir_server.store.document import records_in

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import timedelta, tzinfo

    from fhir_server.audit.access import Agent
    from fhir_server.audit.delayed import Delayed
    from fhir_server.audit.journal import Journal
    from fhir_server.consent.circumstances import Circumstances, Law
    from fhir_server.definitions.tables import Definitions
    from fhir_server.identity.requester import Requester
    from fhir_server.interactions.definitional import Profiles
    from fhir_server.interactions.directory import Directory
    from fhir_server.interactions.natively import Natively, Raw
    from fhir_server.interactions.paging import PageTokens
    from fhir_server.record.notification import Notification
    from fhir_server.record.redact import Redaction
    from fhir_server.search.parameters import Parameters
    from fhir_server.search.predicate import Predicate
    from fhir_server.search.subset import Subsetter
    from fhir_server.store.binary import Contents
    from fhir_server.store.finding import Finding
    from fhir_server.store.internal import Internal
    from fhir_server.store.reading import Held, Reading
    from fhir_server.store.writing import Writing
    from fhir_server.terminology import Terminology
    from fhir_server.validation.sharing.profiles import Profile
    from fhir_server.validation.structure import Validator


_NOBODYS: Final = ""
"""A record that nobody has: what is looked up in a record is looked up there too, for it must cost the same."""
NOTHING: Final = "/"
"""The key of nothing, for the same."""


@dataclass(frozen=True, slots=True)
class Server:
    """Everything an interaction may use, made once by `app.build`."""

    base_url: str
    reading: Reading
    finding: Finding
    writing: Writing
    internal: Internal
    contents: Contents
    journal: Journal | Delayed
    definitions: Definitions
    parameters: Parameters
    validator: Validator
    profiles: Profiles
    redaction: Redaction
    subsetter: Subsetter
    terminology: Terminology
    law: Law
    pages: PageTokens
    routing_key: bytes
    clock: Callable[[], int]
    """Microseconds since 1970."""
    zone: tzinfo
    authorisation: timedelta
    """How long an authorisation without an end lasts (R-03)."""
    directory: Directory
    default_count: int
    max_count: int
    capability: bytes
    """The CapabilityStatement."""
    terminology_capability: Callable[[], bytes]
    """The TerminologyCapabilities, made when it is first asked for."""
    required_profiles: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By type, profiles of which one must be declared (`settings.required_profiles`)."""
    deletes_several: bool = False
    """Whether a conditional delete may delete more than one (`settings.conditional_delete`)."""
    declaration_waits: bool = True
    """A doctor's declaration as médecin traitant waits for the patient (access: médecin traitant)."""
    mismatch_warns: bool = False
    """A declared size or hash that is not that of the bytes is told, and refuses nothing."""
    evaluating: asyncio.Semaphore = field(default_factory=asyncio.Semaphore)
    """Large stored terminology is worked on by one thread, beside the requests."""
    notified: Known[tuple[str, ...]] = field(default_factory=Known)
    """The notifications this process knows to be stored (`interactions.notify`)."""
    notifying: dict[tuple[str, ...], asyncio.Task[None]] = field(default_factory=dict)
    """Those it is writing now."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another record the request touched: its holder has a trace of his own, and nothing of the first record in it."""

    record: str
    delivered: tuple[str, ...] = ()


@dataclass(slots=True)
class Account:
    """What the trail will say of this request, filled in as it becomes known."""

    interaction: str
    type: str | None = None
    target: str | None = None
    """``Type/id`` as the requester asked for it, or as the server assigned it."""
    version: int | None = None
    patient: str | Identifier | None = None
    """The patient as the requester named him, or as what he was given tells."""
    query: bytes | None = None
    record: str | None = None
    """The record that was really touched."""
    hidden_target: str | None = None
    """What was really found, where the requester named it by something else than its id."""
    named: dict[str, str] = field(default_factory=dict)
    """By record, what a query really named there: who may not see that may not see the trace."""
    delivered: list[str] = field(default_factory=list)
    counted: int = 0
    """How many a search told to be there without showing them."""
    elsewhere: list[Elsewhere] = field(default_factory=list)
    secret: bool = False
    """It tells of a secret session, whoever asks."""
    sought: bool = False
    """The target was looked up, so it is known whose trail a refusal belongs in."""
    rules: tuple[str, ...] = ()
    why: str | None = None
    announced: bool = False
    """The trace of a write is already durable."""

    def withhold(self) -> None:
        """Note that nothing of what was found is delivered after all."""
        self.delivered = []
        self.elsewhere = [replace(one, delivered=()) for one in self.elsewhere]


@dataclass(slots=True)
class Exchange:
    """One request of one requester at one moment."""

    server: Server
    requester: Requester
    agent: Agent
    now: int
    """Microseconds since 1970."""
    address: str
    request_id: str
    account: Account
    strict: bool = False
    """``Prefer: handling=strict``."""
    return_preference: str = "representation"
    language: Language = Language.ENGLISH
    """In which it is told what there is to say of the request."""
    preferred_language: Language | None = None
    """The same where the client names it: displays of codes are else in that of their list."""
    if_match: str | None = None
    if_none_match: frozenset[str] = frozenset()
    """Of a change: the versions that must not be the current one, ``*`` for any."""
    if_none_exist: str | None = None
    patch_format: PatchFormat = PatchFormat.JSON_PATCH
    """Of the body of a patch."""
    natively: Natively | None = None
    """Of a read of a Binary: how its content itself is wanted; nothing where FHIR alone is."""
    raw: Raw | None = None
    """Of a create or an update of a Binary: its content, where it is sent as what it is."""
    data: Allowance = field(default_factory=Allowance)
    """How much content of Binaries it may still be answered as data; shared by the entries of a Bundle."""
    assigned: str | None = None
    """The id of what this creates, where a Bundle has named it already."""
    arriving: frozenset[str] = frozenset()
    """What the same Bundle will have created (``Type/id``)."""
    changing: frozenset[str] = frozenset()
    """What other entries of the same Bundle change (``Type/id``)."""
    shared_as: Profile | None = None
    """The profile that the Bundle of ITI-65 asks of this entry at the least."""
    tells: Notification | None = None
    """What the patient is told of the write it makes (`interactions.notify.told_beside`)."""
    _facts: dict[str | None, Facts] = field(default_factory=dict)
    _hidden: tuple[str, frozenset[str]] | None = None
    """Looked up once a request: what a page of traces withholds."""
    _beside: dict[str, list[str]] = field(default_factory=dict)
    """Looked up once a request: by record, the others that some of its resources belong to."""
    _told: dict[str, list[str]] = field(default_factory=dict)
    """Looked up once a request: by record, what some of its resources only tell of."""
    _shown: dict[str, bool] = field(default_factory=dict)
    """By ``Type/id``, whether the requester may consult it: whether a reference to it is answered."""

    def closed(self, type: str, act: Act, letter: str) -> None:
        """Raise 403 when this act on this type is closed to the requester, whatever is stored."""
        closed(self.requester, type, act, self.server.law, letter)

    def decide(
        self,
        type: str,
        act: Act,
        facts: Facts = NO_RECORD,
        *,
        hidden: frozenset[str] = frozenset(),
        others: tuple[tuple[str, Predicate], ...] = (),
        shown: frozenset[str] = frozenset(),
    ) -> Decision:
        """Decide one act on one type in one record, and remember it for the trail."""
        seen = circumstances(
            requester=self.requester,
            act=act,
            type=type,
            facts=facts,
            now=self.now,
            law=self.server.law,
            hidden=hidden,
            others=others,
            shown=shown,
        )
        decision = decide(seen)
        self.account.rules = decision.rules
        return decision

    async def decide_on(self, held: Held, act: Act) -> tuple[Facts, Decision]:
        """Decide one act on something looked up, by the facts of its records as they are now."""
        facts = await self.facts_for(held.type, held.record)
        self.account.record = held.record if facts.record is not None else None
        self.account.sought = True
        return facts, await self.decide_fully(held.type, act, facts, others=held.others, about=held.about)

    async def decide_fully(
        self,
        type: str,
        act: Act,
        facts: Facts,
        *,
        others: Collection[str] | None = None,
        about: Collection[str] | None = None,
    ) -> Decision:
        """Decide, with what else the decision rests on.

        For traces, what is hidden of the record; for what may belong to several records, the ``others``; for what only
        tells of other resources, what it is ``about``. Unless told, these are all that there are in the record.
        """
        seen = await self.circumstances_of(type, act, facts, others=others, about=about)
        decision = decide(seen)
        self.account.rules = decision.rules
        return decision

    async def circumstances_of(
        self,
        type: str,
        act: Act,
        facts: Facts,
        *,
        others: Collection[str] | None = None,
        about: Collection[str] | None = None,
    ) -> Circumstances:
        """Everything such a decision rests on."""
        hidden: frozenset[str] = frozenset()
        beside: tuple[tuple[str, Predicate], ...] = ()
        shown: frozenset[str] = frozenset()
        if act is Act.TRACE:
            hidden = await self.hidden(facts)
        elif not self.is_conformance:
            if type in SEVERAL:
                beside = await self._where_else(type, act, facts, others)
            if type in ABOUT:
                shown = await self._told_and_shown(facts, about)
        return circumstances(
            requester=self.requester,
            act=act,
            type=type,
            facts=facts,
            now=self.now,
            law=self.server.law,
            hidden=hidden,
            others=beside,
            shown=shown,
        )

    async def decide_candidate(self, type: str, act: Act, facts: Facts, candidate: Mapping[str, Any]) -> Decision:
        """Decide on what is to be written, in every record it will belong to."""
        others = [record for record in records_in(candidate) if record != facts.record]
        return await self.decide_fully(type, act, facts, others=others, about=candidate.get("about", ()))

    async def _where_else(
        self, type: str, act: Act, facts: Facts, others: Collection[str] | None
    ) -> tuple[tuple[str, Predicate], ...]:
        """In each of the other records, what may be done there."""
        record = facts.record or _NOBODYS
        if others is None:
            if record not in self._beside:
                self._beside[record] = await self.server.internal.records_beside(record)
            others = self._beside[record]
        found: list[tuple[str, Predicate]] = []
        for other in others or ():
            of_other = circumstances(
                requester=self.requester,
                act=act,
                type=type,
                facts=await self.facts(other),
                now=self.now,
                law=self.server.law,
            )
            found.append((other, decide(of_other, OF_ONE_RECORD).visible.predicate))
        return tuple(found)

    async def _told_and_shown(self, facts: Facts, about: Collection[str] | None) -> frozenset[str]:
        """Of what resources of the record only tell of, what the requester may consult."""
        if about is None:
            record = facts.record or _NOBODYS
            if record not in self._told:
                self._told[record] = await self.server.internal.told_of(record)
            about = self._told[record] or (NOTHING,)
        return await self.shown(about)

    async def shown(self, keys: Collection[str]) -> frozenset[str]:
        """Which of these (``Type/id``) the requester may consult: one look-up for all that is not known yet.

        Hidden, deleted and absent are alike. The scopes of the token do not count: they limit what a client asks for,
        not what the person it asks for may know of.
        """
        asked = [key for key in keys if key not in self._shown]
        waiting: list[Held] = []
        while asked:
            self._shown |= dict.fromkeys(asked, False)
            held = [one for one in await self.server.reading.hold_many(asked) if one.is_there and not one.is_withdrawn]
            waiting += held
            asked = list({key for one in held for key in one.about} - self._shown.keys())
        if waiting:
            asking = replace(
                self,
                requester=replace(self.requester, scopes=scopes("user/*.cruds")),
                account=Account(self.account.interaction),
            )
            # what only tells of others is shown by what it tells of: again and again, until nothing more is
            seen: dict[tuple[str, str | None], Decision] = {}
            while found := [one for one in waiting if await asking._sees(one, seen)]:  # noqa: SLF001 - itself
                self._shown |= {one.key: True for one in found}
                waiting = [one for one in waiting if one.about and not self._shown[one.key]]
        return frozenset(key for key in keys if self._shown[key])

    async def _sees(self, held: Held, seen: dict[tuple[str, str | None], Decision]) -> bool:
        """Whether the requester may consult this; ``seen`` keeps the decisions that hold for all of a type in a record.

        A record of 600 documents takes 60 ms with a decision on each, 20 with one on all.
        """
        alike = None if held.type in SEVERAL or held.about else (held.type, held.record)
        if alike in seen:
            return held.is_shown(seen[alike].visible)
        facts = await self.facts_for(held.type, held.record)
        others = await self._where_else(held.type, Act.CONSULT, facts, held.others) if held.type in SEVERAL else ()
        told = frozenset(key for key in held.about if self._shown[key])
        decision = self.decide(held.type, Act.CONSULT, facts, others=others, shown=told)
        if alike is not None:
            seen[alike] = decision
        return held.is_shown(decision.visible)

    async def facts(self, record: str | None) -> Facts:
        """The facts of a record, read once a request, after it began; every decision of it rests on the same."""
        if record not in self._facts:
            self._facts[record] = await self.server.reading.facts(record)
        return self._facts[record]

    async def facts_in_full(self, record: str | None) -> Facts:
        """The facts of a record with the Consents they come from, as they are now (`store.reading`)."""
        self._facts[record] = await self.server.reading.facts_in_full(record)
        return self._facts[record]

    async def facts_for(self, type: str, record: str | None) -> Facts:
        """The facts a decision on something of this record rests on.

        What no document owns yet has no record: its depositor on the patient's side is known by his own.
        """
        if type in OWNED and record is None and self.requester.kind in PATIENT_SIDE:
            return await self.own_facts()
        return await self.facts(record)

    async def own_facts(self) -> Facts:
        """The facts of the record the token speaks of: the patient's own, or that of the person acted for."""
        person = self.requester.person
        if person is None:
            return NO_RECORD
        facts = await self.server.reading.facts_of_person(f"ins|{person.value}", self.requester.realm.value)
        if facts.record is not None:
            self._facts[facts.record] = facts
        return facts

    async def hidden(self, facts: Facts) -> frozenset[str]:
        """What of this record the requester may not know of, so that its traces are withheld (R-25, R-26, R-63)."""
        if facts.record is None or self.requester.kind not in PATIENT_SIDE:
            return frozenset()
        if self._hidden is None or self._hidden[0] != facts.record:
            holder = self.requester.kind is Kind.PATIENT
            labels = (INVISIBLE_PATIENT,) if holder else INVISIBLE
            found = await self.server.internal.labelled(facts.record, labels, secret=not holder, by=self.requester.key)
            self._hidden = (facts.record, found)
        return self._hidden[1]

    @property
    def is_conformance(self) -> bool:
        """Whether this is a conformance client, which may do in `essai` what the standard allows."""
        return self.requester.kind is Kind.CONFORMANCE

    def access(self, status: int) -> Access:
        """What happened, as the requester knows it."""
        account = self.account
        return Access(
            interaction=account.interaction,
            status=status,
            at=self.now,
            agent=self.agent,
            address=self.address,
            type=account.type,
            target=account.target,
            version=account.version,
            patient=account.patient,
            query=account.query,
            request_id=self.request_id,
            realm=self.requester.realm.value,
        )

    def sealed(self) -> Sealed:
        """The truth about it."""
        account = self.account
        return Sealed(
            record=account.record,
            target=account.named.get(account.record or "") or account.hidden_target or account.target,
            version=account.version,
            delivered=tuple(account.delivered),
            rules=account.rules,
            why=account.why,
            secret=account.secret or self.requester.audience_restriction is not None,
        )

    async def find_record_of_refusal(self) -> None:
        """A refused attempt belongs in the trail of the holder whose record it was aimed at (access: trail)."""
        account = self.account
        if not account.sought and account.record is None and account.target is not None and account.type is not None:
            held = await self.server.reading.hold(account.type, account.target.partition("/")[2])
            account.record = held.record

    async def trace(self, status: int) -> None:
        """Make the trace of this request durable; nothing may be answered before."""
        access, sealed = self.access(status), self.sealed()
        others = [
            replace(
                sealed,
                record=other.record,
                target=self.account.named.get(other.record),
                delivered=other.delivered,
                rules=sealed.rules if other.delivered else (),
            )
            for other in self.account.elsewhere
        ]
        # together, so that they are stored by one insert: how many there are costs no round trip
        await asyncio.gather(*(self.server.journal.record(access, one) for one in (sealed, *others)))

    def part(self, interaction: str) -> Exchange:
        """The exchange of one entry of a batch: a request of its own."""
        return replace(
            self,
            account=Account(interaction),
            if_match=None,
            if_none_match=frozenset(),
            if_none_exist=None,
            natively=None,
            raw=None,
            assigned=None,
            arriving=frozenset(),
            changing=frozenset(),
            shared_as=None,
            tells=None,
            _facts={},
            _hidden=None,
            _beside={},
            _told={},
            _shown={},
            now=self.server.clock(),
        )
