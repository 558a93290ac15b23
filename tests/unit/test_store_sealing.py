"""Sealed chunks open in their own place alone; keys of records by their own master key and under their own name."""

from __future__ import annotations

from base64 import b64encode

import pytest

from fhir_server.store.sealing import KEY_BYTES, Broken, MasterKeys, Sealer, master_id, new_key, new_salt, tag

CHUNKS = [b"first", b"second", b"third"]


def sealed() -> tuple[Sealer, list[bytes]]:
    sealer = Sealer(new_key(), new_salt())
    return sealer, [sealer.seal(number, data, last=number == 2) for number, data in enumerate(CHUNKS)]


def base64(key: bytes) -> str:
    return b64encode(key).decode()


def test_what_is_sealed_opens_in_its_place() -> None:
    sealer, chunks = sealed()
    assert [sealer.open(number, one, last=number == 2) for number, one in enumerate(chunks)] == CHUNKS
    assert not any(data in one for data, one in zip(CHUNKS, chunks, strict=True))


@pytest.mark.parametrize(
    ("number", "place", "last"),
    [(0, 1, False), (1, 0, False), (2, 2, False), (1, 1, True), (0, 2, True)],
    ids=["another place", "an earlier place", "not the last", "cut to be the last", "another end"],
)
def test_elsewhere_it_does_not_open(number: int, place: int, last: bool) -> None:
    sealer, chunks = sealed()
    with pytest.raises(Broken):
        sealer.open(place, chunks[number], last=last)


def test_altered_or_in_another_content_it_does_not_open() -> None:
    key = new_key()
    one, other = Sealer(key, new_salt()), Sealer(key, new_salt())
    chunk = one.seal(0, b"data", last=True)
    for sealer, data in ((other, chunk), (one, bytes([chunk[0] ^ 1]) + chunk[1:]), (one, chunk[:-1]), (one, b"")):
        with pytest.raises(Broken):
            sealer.open(0, data, last=True)


def test_equal_contents_are_told_by_one_key_alone() -> None:
    one, other = new_key(), new_key()
    assert tag(one, b"digest") == tag(one, b"digest")
    assert len({tag(one, b"digest"), tag(other, b"digest"), tag(one, b"another")}) == 3


def test_a_key_is_wrapped_by_the_first_and_opened_by_each() -> None:
    old, new = new_key(), new_key()
    before, after = MasterKeys.read(base64(old)), MasterKeys.read(f"{base64(new)}\n{base64(old)}\n")
    key = new_key()
    wrapped = before.wrap(key, "Patient/a")
    assert key not in wrapped
    assert after.unwrap(master_id(old), wrapped, "Patient/a") == key
    assert after.unwrap(master_id(new), after.wrap(key, "Patient/a"), "Patient/a") == key
    assert after.first == master_id(new)


def test_a_wrapped_key_opens_under_its_own_name_and_master_alone() -> None:
    masters = MasterKeys.read(f"{base64(new_key())} {base64(new_key())}")
    wrapped = masters.wrap(new_key(), "Patient/a")
    other = next(one for one in masters.keys if one != masters.first)
    for master, name in ((masters.first, "Patient/b"), (other, "Patient/a"), ("unheard", "Patient/a")):
        with pytest.raises(Broken):
            masters.unwrap(master, wrapped, name)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no key"),
        (" \n", "holds no key"),
        ("é", "not base64"),
        ("AAAA", "a key of 3 bytes"),
        (base64(bytes(KEY_BYTES + 1)), "a key of 33 bytes"),
        (f"{base64(bytes(KEY_BYTES))} {base64(bytes(KEY_BYTES))}", "a key twice"),
    ],
)
def test_what_are_no_keys(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        MasterKeys.read(text)
