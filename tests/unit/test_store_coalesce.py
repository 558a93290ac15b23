"""Look-ups of concurrent requests share round trips, and nobody is given what was read before he asked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from fhir_server.store.coalesce import Coalescer


class Finding:
    """A collection that answers when it is told to."""

    def __init__(self) -> None:
        """Two things are stored."""
        self.stored = {"a": 1, "b": 2}
        self.batches: list[tuple[list[str], asyncio.Future[None]]] = []

    async def find(self, keys: Sequence[str]) -> Mapping[str, int]:
        read = {key: self.stored[key] for key in keys if key in self.stored}
        answered = asyncio.get_running_loop().create_future()
        self.batches.append((list(keys), answered))
        await answered
        return read

    def answer(self, position: int) -> None:
        self.batches[position][1].set_result(None)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_is_asked_together_is_one_look_up() -> None:
    finding = Finding()
    look_up = Coalescer(finding.find)
    asked = [asyncio.create_task(look_up.get(key)) for key in ("a", "b", "a", "none")]
    await settle()
    assert [keys for keys, _ in finding.batches] == [["a", "b", "none"]]
    finding.answer(0)
    assert await asyncio.gather(*asked) == [1, 2, 1, None]


async def test_a_request_never_joins_a_batch_already_sent() -> None:
    finding = Finding()
    look_up = Coalescer(finding.find)
    before = asyncio.create_task(look_up.get("a"))
    await settle()
    finding.stored["a"] = 10
    after = asyncio.create_task(look_up.get("a"))
    await settle()
    finding.answer(0)
    finding.answer(1)
    assert (await before, await after) == (1, 10)


async def test_while_two_batches_are_under_way_the_rest_gathers() -> None:
    finding = Finding()
    look_up = Coalescer(finding.find)
    asked = []
    for key in ("a", "b", "a", "b"):
        asked.append(asyncio.create_task(look_up.get(key)))
        await settle()
    assert [keys for keys, _ in finding.batches] == [["a"], ["b"]]
    finding.answer(0)
    await settle()
    assert [keys for keys, _ in finding.batches] == [["a"], ["b"], ["a", "b"]]
    finding.answer(1)
    finding.answer(2)
    assert await asyncio.gather(*asked) == [1, 2, 1, 2]


async def test_a_failure_is_told_to_everybody_of_the_batch_and_to_nobody_else() -> None:
    finding = Finding()
    look_up = Coalescer(finding.find)
    asked = [asyncio.create_task(look_up.get(key)) for key in ("a", "b")]
    await settle()
    finding.batches[0][1].set_exception(ConnectionError("gone"))
    for one in asked:
        with pytest.raises(ConnectionError):
            await one
    again = asyncio.create_task(look_up.get("a"))
    await settle()
    finding.answer(1)
    assert await again == 1


async def test_who_gives_up_does_not_disturb_the_others() -> None:
    finding = Finding()
    look_up = Coalescer(finding.find)
    gone, stays = (asyncio.create_task(look_up.get("a")) for _ in range(2))
    await settle()
    gone.cancel()
    await settle()
    finding.answer(0)
    assert await stays == 1
