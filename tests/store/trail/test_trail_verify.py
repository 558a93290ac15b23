"""`audit verify` names each kind of tampering, and nothing when there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fhir_server.audit.access import Access
from fhir_server.audit.anchor import Signer, append_line, signer
from fhir_server.audit.chain import link_digest
from fhir_server.audit.journal import Journal
from fhir_server.audit.sealed import Sealed
from fhir_server.audit.verify import Fault, verify
from fhir_server.audit.verify import format as lines_of
from fhir_server.store.connection import Database
from fhir_server.store.trace import document, trace, trace_key
from fhir_server.store.trail import Trail

pytestmark = pytest.mark.asyncio

SEALED = Sealed(record="demo-1", rules=("R-20",))


@pytest_asyncio.fixture
async def written(make_journal: Callable[..., Journal], reading: Callable[..., Access], tmp_path: Path) -> str:
    """A run of ten traces, ended; and the beginning of the next."""
    journal = make_journal(anchor_file=tmp_path / "heads")
    await journal.open()
    for number in range(5):
        await journal.record(reading(number), SEALED)
    await journal.anchor()
    await asyncio.gather(*(journal.record(reading(number), SEALED) for number in range(5, 10)))
    await journal.close()
    return journal.writer


async def faults(trail: Trail, keys: list[bytes], anchor_file: Path | None = None) -> set[str]:
    report = await verify(trail, keys, anchor_file)
    return {f"{one.fault} {one.where.rpartition('-')[2]}" for one in report.findings}


async def stored(database: Database, writer: str, seq: int) -> dict[str, Any]:
    found = await database["trail"].find_one({"_id": trace_key(writer, seq)})
    assert found is not None
    return found


async def test_an_untouched_trail_is_whole(written: str, trail: Trail, signer: Signer, tmp_path: Path) -> None:
    report = await verify(trail, [signer.public], tmp_path / "heads")
    assert report.whole
    assert not report.notes
    assert (report.traces, report.runs, report.anchors) == (11, 1, 2)
    assert lines_of(report)[-1] == "The trail is whole."


async def test_removed(written: str, trail: Trail, database: Database, signer: Signer) -> None:
    await database["trail"].delete_one({"_id": trace_key(written, 3)})
    assert await faults(trail, [signer.public]) == {"removed 000000000004"}


@pytest.mark.parametrize(
    "change",
    [
        {"event": b'{"resourceType":"AuditEvent"}'},
        {"agent": "somebody else"},
        {"record": "demo-2"},
        {"shown": "demo-2"},
        {"target": "DocumentReference/other"},
        {"secret": True},
        {"sealed.record": "demo-2"},
        {"realm": "reel"},
        {"writes": "DocumentReference/x/1"},
        {"at": 1},
        {"on": 1},
        {"rt": "Hidden"},
        {"salt": b"another"},
        {"content": b"another"},
        {"digest": b"another"},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_altered(written: str, trail: Trail, database: Database, signer: Signer, change: dict[str, Any]) -> None:
    await database["trail"].update_one({"_id": trace_key(written, 3)}, {"$set": change})
    assert await faults(trail, [signer.public]) == {"altered 000000000003"}


async def test_erased_without_a_mark_is_altered(written: str, trail: Trail, database: Database, signer: Signer) -> None:
    await database["trail"].update_one({"_id": trace_key(written, 3)}, {"$unset": {"event": "", "sealed": ""}})
    assert await faults(trail, [signer.public]) == {"altered 000000000003"}


async def test_reordered(written: str, trail: Trail, database: Database, signer: Signer) -> None:
    third, fourth = [await stored(database, written, seq) for seq in (3, 4)]
    await database["trail"].replace_one({"_id": third["_id"]}, {**fourth, "_id": third["_id"]})
    await database["trail"].replace_one({"_id": fourth["_id"]}, {**third, "_id": fourth["_id"]})
    assert {"reordered 000000000003", "reordered 000000000004"} <= await faults(trail, [signer.public])


async def test_reordered_with_their_places(written: str, trail: Trail, database: Database, signer: Signer) -> None:
    third, fourth = [await stored(database, written, seq) for seq in (3, 4)]
    await database["trail"].replace_one({"_id": third["_id"]}, {**fourth, "_id": third["_id"], "seq": 3})
    await database["trail"].replace_one({"_id": fourth["_id"]}, {**third, "_id": fourth["_id"], "seq": 4})
    assert "reordered 000000000003" in await faults(trail, [signer.public])


async def test_the_end_cut_off(written: str, trail: Trail, database: Database, signer: Signer) -> None:
    await database["trail"].delete_many({"seq": {"$gt": 7}})
    assert await faults(trail, [signer.public]) == {"cut 000000000010"}


async def test_the_end_cut_off_with_its_signed_heads(
    *,
    written: str,
    trail: Trail,
    database: Database,
    signer: Signer,
    tmp_path: Path,
    make_journal: Callable[..., Journal],
) -> None:
    """The file, or the next run's first link, still tells."""
    following = make_journal()
    await following.open()
    await following.close()
    await database["trail"].delete_many({"writer": written, "seq": {"$gt": 3}})
    await database["anchors"].delete_many({"writer": written})

    assert await faults(trail, [signer.public]) == {"cut 000000000010"}
    with_file = await verify(trail, [signer.public], tmp_path / "heads")
    assert with_file.faults[Fault.CUT] == 3


async def test_the_beginning_removed(written: str, trail: Trail, database: Database, signer: Signer) -> None:
    await database["trail"].delete_many({"seq": {"$lt": 3}})
    assert await faults(trail, [signer.public]) == {"removed 000000000003"}


async def test_a_whole_run_missing(written: str, trail: Trail, database: Database, signer: Signer) -> None:
    await database["trail"].delete_many({"writer": written})
    assert {one.partition(" ")[0] for one in await faults(trail, [signer.public])} == {"missing"}


async def test_a_signed_head_missing(written: str, trail: Trail, database: Database, signer: Signer) -> None:
    await database["anchors"].delete_one({"number": 1})
    report = await verify(trail, [signer.public])
    assert [one.fault for one in report.findings] == [Fault.MISSING]


async def test_a_chain_rewritten_from_a_trace_on_does_not_match_its_signed_heads(
    written: str, trail: Trail, database: Database, signer: Signer
) -> None:
    """Whoever can compute digests can make another consistent chain, but not sign it."""
    links = [trace(one) async for one in database["trail"].find({}).sort("_id", 1)]
    previous = links[2].digest
    for link in links[3:]:
        changed = replace(link, previous=previous, at=link.at + 1)
        changed = replace(changed, digest=link_digest(changed))
        await database["trail"].replace_one({"_id": link.key}, document(changed))
        previous = changed.digest
    assert await faults(trail, [signer.public]) == {"altered 000000000005", "altered 000000000010"}


@pytest.mark.parametrize("known_to_database", [True, False])
async def test_a_head_signed_with_another_key(
    written: str, trail: Trail, database: Database, signer: Signer, known_to_database: bool
) -> None:
    forger = signer_of_its_own()
    if known_to_database:
        await trail.keep_key(forger.fingerprint, forger.public, 0)
    head = await trail.head(written)
    assert head is not None
    await trail.anchor(forger.sign(head, number=3, at=1))
    report = await verify(trail, [signer.public])
    assert [one.fault for one in report.findings] == [Fault.FORGED]


async def test_a_changed_head(written: str, trail: Trail, database: Database, signer: Signer) -> None:
    await database["anchors"].update_one({"number": 2}, {"$set": {"seq": 9}})
    report = await verify(trail, [signer.public])
    assert [one.fault for one in report.findings] == [Fault.FORGED]


async def test_erased_content_still_verifies(written: str, trail: Trail, database: Database, signer: Signer) -> None:
    erased = await trail.erase("demo-1", before=2**60, at=123)

    assert erased == 10
    left = await stored(database, written, 3)
    assert set(left) == {"_id", "writer", "seq", "at", "content", "previous", "digest", "erased"}
    report = await verify(trail, [signer.public])
    assert report.whole
    assert report.erased == 10


async def test_a_run_without_a_signed_end_is_noted(
    make_journal: Callable[..., Journal], reading: Callable[..., Access], trail: Trail, signer: Signer
) -> None:
    journal = make_journal()
    await journal.open()
    await journal.record(reading(), SEALED)
    report = await verify(trail, [signer.public])
    await journal.close()
    assert report.whole
    assert "no signed end" in report.notes[0]


async def test_half_a_line_in_the_file_is_noted(written: str, trail: Trail, signer: Signer, tmp_path: Path) -> None:
    heads = tmp_path / "heads"
    heads.write_bytes(heads.read_bytes() + b'{"writer":"abc"')
    head = await trail.head(written)
    assert head is not None
    append_line(heads, signer.sign(head, number=9, at=1))
    report = await verify(trail, [signer.public], heads)
    assert report.whole
    assert "line 3 of heads" in report.notes[0]


async def test_the_next_run_names_the_head_of_the_one_before(
    written: str, make_journal: Callable[..., Journal], trail: Trail, signer: Signer
) -> None:
    following = make_journal()
    await following.open()
    await following.close()

    first = await trail.read(trace_key(following.writer, 0))

    assert first is not None
    assert first.links == (await trail.head(written),)
    last = make_journal()
    await last.open()
    await last.close()
    opening = await trail.read(trace_key(last.writer, 0))
    assert opening is not None
    assert [one.writer for one in opening.links] == [following.writer]


def signer_of_its_own() -> Signer:
    return signer(Ed25519PrivateKey.generate())
