"""Encryption in parts: any size, any chunking, and nothing that was tampered with."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

import pytest
from hypothesis import given, strategies as st

from optio_agents.seeds import parts
from optio_agents.seeds.errors import SeedArchiveError
from optio_agents.seeds.parts import Opener, Sealer

KEY = b"a key"


def encrypt(data: bytes) -> bytes:
    """Not secret, but authenticated, as real ciphers are."""
    return hmac.digest(KEY, data, "sha256") + data[::-1]


def decrypt(data: bytes) -> bytes:
    plain = data[32:][::-1]
    if not hmac.compare_digest(data[:32], hmac.digest(KEY, plain, "sha256")):
        raise ValueError("forged")
    return plain


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART", 10)


def seal(pieces: Iterable[bytes]) -> list[bytes]:
    sealer = Sealer(encrypt)
    sealed = [stored for piece in pieces for stored in sealer.feed(piece)]
    return sealed + list(sealer.finish())


def unseal(pieces: Iterable[bytes]) -> bytes:
    opener = Opener(decrypt)
    opened = [data for piece in pieces for data in opener.feed(piece)]
    return b"".join(opened + list(opener.finish()))


def chunked(data: bytes, sizes: list[int]) -> list[bytes]:
    chunks = []
    for size in sizes:
        chunks.append(data[:size])
        data = data[size:]
    return [*chunks, data]


SIZES = st.lists(st.integers(0, 30), max_size=20)


@given(st.binary(max_size=100), SIZES, SIZES)
def test_what_was_sealed_is_opened_however_it_was_cut(
    data: bytes, before: list[int], after: list[int]
) -> None:
    stored = b"".join(seal(chunked(data, before)))
    assert unseal(chunked(stored, after)) == data


@pytest.mark.parametrize("size", [0, 1, 9, 10])
def test_a_small_archive_is_encrypted_as_a_whole(size: int) -> None:
    """Every published release can read that."""
    data = bytes(range(size))
    assert seal([data]) == [encrypt(data)]


@pytest.mark.parametrize("size", [11, 20, 21, 95])
def test_a_large_one_is_cut_into_parts(size: int) -> None:
    stored = seal([bytes(size)])
    assert stored[0].startswith(parts.MAGIC)
    assert len(stored) == -(-size // 10)


def test_a_whole_that_only_begins_like_parts_is_no_archive_in_parts() -> None:
    assert unseal([encrypt(b"x" * 500)]) == b"x" * 500


def test_without_a_cipher_bytes_pass() -> None:
    assert list(Sealer(None).feed(b"abc")) == [b"abc"]
    assert list(Opener(None).feed(b"abc")) == [b"abc"]
    assert not [*Sealer(None).finish(), *Opener(None).finish()]


@pytest.mark.parametrize(
    "tamper", ["drop the last", "drop one", "swap two", "repeat one", "another archive's", "more after"]
)
def test_parts_cannot_be_moved(tamper: str) -> None:
    stored = seal([bytes(range(45))])
    stored[0] = stored[0].removeprefix(parts.MAGIC)
    match tamper:
        case "drop the last":
            stored.pop()
        case "drop one":
            del stored[1]
        case "swap two":
            stored[1], stored[2] = stored[2], stored[1]
        case "repeat one":
            stored.insert(2, stored[1])
        case "another archive's":
            stored[2] = seal([bytes(range(45))])[2]
        case "more after":
            stored.append(stored[0])
    with pytest.raises(SeedArchiveError, match=r"foreign or out of order|cut off"):
        unseal([parts.MAGIC, *stored])


def test_a_length_that_nobody_writes_is_not_waited_for() -> None:
    with pytest.raises(SeedArchiveError, match="damaged"):
        unseal([parts.MAGIC + b"\xff\xff\xff\xff"])


def test_a_forged_part_is_the_ciphers_own_error() -> None:
    stored = bytearray(b"".join(seal([bytes(45)])))
    stored[-1] ^= 1
    with pytest.raises(ValueError, match="forged"):
        unseal([bytes(stored)])


def test_every_byte_counts() -> None:
    """Memory stays flat: neither side holds more than a part beyond what it was fed."""
    sealer, opener, seen = Sealer(encrypt), Opener(decrypt), hashlib.sha256()
    for number in range(1000):
        for stored in sealer.feed(bytes([number % 256]) * 7):
            for data in opener.feed(stored):
                seen.update(data)
        assert len(sealer._held) <= 10
        assert len(opener._held) == 0
    for stored in sealer.finish():
        for data in opener.feed(stored):
            seen.update(data)
    assert list(opener.finish()) == []
    assert seen.digest() == hashlib.sha256(b"".join(bytes([n % 256]) * 7 for n in range(1000))).digest()
