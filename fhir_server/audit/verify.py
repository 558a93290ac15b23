"""``audit verify``: is the trail whole? It names what was removed, altered, reordered, cut off, and what is missing.

Two passes, neither of which holds the trail in memory. The first walks every run link by link. The second takes each
claim about a link that stands elsewhere (a signed head in the database or in the file, a later run's first link) and
compares it with what is stored there. The keys come from whoever verifies, never from the database alone.

What it cannot see: traces cut from the end of a run after the last claim about it, at most the last minute of a run
that ended without a signed end. Such runs are named in the notes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from fhir_server.audit.anchor import fingerprint, read_line, signed
from fhir_server.audit.chain import GENESIS, intact, link_digest
from fhir_server.store.trace import Anchor, Head, Trace, trace_id, trace_key
from fhir_server.store.trail import Trail

LISTED: Final = 1000
"""Faults that a report spells out; all are counted."""
_BATCH: Final = 500


class Fault(StrEnum):
    """What can be wrong with a trail."""

    REMOVED = "removed"
    ALTERED = "altered"
    REORDERED = "reordered"
    CUT = "cut"
    MISSING = "missing"
    FORGED = "forged"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault, where it is, and what it means in a sentence."""

    fault: Fault
    where: str
    sentence: str


@dataclass(slots=True)
class Report:
    """What verifying found."""

    traces: int = 0
    runs: int = 0
    anchors: int = 0
    erased: int = 0
    faults: Counter[Fault] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Nothing is wrong."""
        return not self.faults

    def add(self, fault: Fault, where: str, sentence: str) -> None:
        """Count a fault, and spell it out as long as there is room."""
        self.faults[fault] += 1
        if len(self.findings) < LISTED:
            self.findings.append(Finding(fault, where, sentence))


@dataclass(frozen=True, slots=True)
class _Claim:
    """Somebody says that this link is there, with this digest."""

    head: Head
    source: str


@dataclass(slots=True)
class _Walk:
    """How far the walk is, and what it has seen of the runs."""

    report: Report
    writer: str = ""
    next: int = 0
    previous: frozenset[bytes] = frozenset({GENESIS})
    ends: dict[str, int] = field(default_factory=dict)
    claims: list[_Claim] = field(default_factory=list)
    closed: set[str] = field(default_factory=set)
    signed_up_to: dict[str, int] = field(default_factory=dict)

    def step(self, trace: Trace) -> None:
        """Look at the next link."""
        report = self.report
        report.traces += 1
        writer, seq = _place(trace)
        if writer != self.writer:
            report.runs += 1
            self.writer, self.next, self.previous = writer, 0, frozenset({GENESIS})
        where = trace_id(writer, seq)
        if seq != self.next:
            first, last = trace_id(writer, self.next), trace_id(writer, seq - 1)
            report.add(Fault.REMOVED, where, f"{seq - self.next} removed before it: {first} to {last}.")
        follows = seq != self.next or trace.previous in self.previous
        digest = link_digest(trace)
        if (trace.writer, trace.seq) != (writer, seq):
            report.add(Fault.REORDERED, where, f"it was written as {trace_id(trace.writer, trace.seq)}.")
        elif not follows:
            report.add(Fault.REORDERED, where, "it does not follow the trace before it.")
        elif digest != trace.digest:
            report.add(Fault.ALTERED, where, "its time, its links or its digest were changed.")
        elif not intact(trace):
            report.add(Fault.ALTERED, where, "its content was changed, or taken away without being marked as erased.")
        report.erased += trace.erased is not None
        self.claims.extend(_Claim(one, f"the first link of run {writer}") for one in trace.links)
        self.next = seq + 1
        # After a change of a link either digest may be what the next one carries: one change is one fault.
        self.previous = frozenset({digest, trace.digest})
        self.ends[writer] = seq


async def verify(trail: Trail, public_keys: Collection[bytes], anchor_file: Path | None = None) -> Report:
    """Verify the whole trail against the public keys (raw Ed25519) that may have signed its heads."""
    report = Report()
    walk = _Walk(report)
    async for trace in trail.walk():
        walk.step(trace)
    keys = {fingerprint(key): key for key in public_keys}
    batch: list[_Claim] = []
    async for claim in _claims(trail, keys, anchor_file, walk):
        batch.append(claim)
        if len(batch) == _BATCH:
            await _compare(trail, batch, walk)
            batch = []
    await _compare(trail, batch, walk)
    for writer, end in walk.ends.items():
        if writer not in walk.closed:
            beyond = end - walk.signed_up_to.get(writer, -1)
            report.notes.append(
                f"Run {writer} has no signed end: it is under way or crashed. "
                f"{beyond} traces follow its last signed head."
            )
    return report


def format(report: Report) -> list[str]:
    """The report as lines for people."""
    lines = [
        f"{report.traces} traces in {report.runs} runs, {report.anchors} signed heads, {report.erased} contents erased."
    ]
    lines += [f"{one.fault}: {one.where}: {one.sentence}" for one in report.findings]
    unlisted = report.faults.total() - len(report.findings)
    if unlisted:
        lines.append(f"{unlisted} more faults are not listed.")
    lines += [f"note: {note}" for note in report.notes]
    if report.whole:
        lines.append("The trail is whole.")
    else:
        counted = ", ".join(f"{count} {fault}" for fault, count in sorted(report.faults.items()))
        lines.append(f"The trail is not whole: {counted}.")
    return lines


async def _claims(trail: Trail, keys: dict[str, bytes], anchor_file: Path | None, walk: _Walk) -> AsyncIterator[_Claim]:
    """Every claim about a link: of later runs, of the signed heads, of the file."""
    for claim in walk.claims:
        yield claim
    expected = ("", 1)
    async for anchor in trail.anchors():
        number = expected[1] if anchor.writer == expected[0] else 1
        if anchor.number != number:
            walk.report.add(
                Fault.MISSING,
                anchor.writer,
                f"the signed heads {number} to {anchor.number - 1} of this run are not in the database.",
            )
        expected = (anchor.writer, anchor.number + 1)
        walk.report.anchors += 1
        if _trusted(anchor, keys, walk.report, "the database"):
            walk.signed_up_to[anchor.writer] = anchor.seq
            if anchor.closing:
                walk.closed.add(anchor.writer)
            yield _Claim(Head(anchor.writer, anchor.seq, anchor.digest), f"signed head {anchor.number}")
    if anchor_file is not None:
        with anchor_file.open("rb") as lines:
            for place, text in enumerate(lines, 1):
                written = read_line(text)
                where = f"line {place} of {anchor_file.name}"
                if written is None:
                    walk.report.notes.append(f"{where} is not a signed head (a crash may leave half a line).")
                elif _trusted(written, keys, walk.report, where):
                    yield _Claim(Head(written.writer, written.seq, written.digest), where)


def _trusted(anchor: Anchor, keys: dict[str, bytes], report: Report, source: str) -> bool:
    key = keys.get(anchor.signer)
    if key is not None and signed(anchor, key):
        return True
    why = "signed with an unknown key" if key is None else "its signature does not hold"
    report.add(Fault.FORGED, anchor.writer, f"signed head {anchor.number} in {source}: {why}.")
    return False


async def _compare(trail: Trail, claims: list[_Claim], walk: _Walk) -> None:
    """Hold claims against what is stored."""
    stored = await trail.digests({trace_key(claim.head.writer, claim.head.seq) for claim in claims})
    for claim in claims:
        head = claim.head
        where = trace_id(head.writer, head.seq)
        found = stored.get(trace_key(head.writer, head.seq))
        if found == head.digest:
            continue
        end = walk.ends.get(head.writer)
        if found is not None:
            walk.report.add(Fault.ALTERED, where, f"it is not the trace that {claim.source} names.")
        elif end is None:
            walk.report.add(Fault.MISSING, where, f"the whole run is missing; {claim.source} names this trace.")
        elif head.seq > end:
            walk.report.add(
                Fault.CUT, where, f"the run ends at {trace_id(head.writer, end)}, but {claim.source} names this trace."
            )
        else:
            walk.report.add(Fault.REMOVED, where, f"{claim.source} names this trace.")


def _place(trace: Trace) -> tuple[str, int]:
    """Where the trace stands, by its `_id`, whatever its fields say."""
    writer, _, seq = trace.stored_as.removeprefix("AuditEvent/").rpartition("-")
    return writer, int(seq) if seq.isdecimal() else -1
