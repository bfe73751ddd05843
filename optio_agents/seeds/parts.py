"""How a seed's archive is encrypted, sans-IO.

An agent package provides `encrypt` and `decrypt`, functions from bytes to bytes. An archive of up to `PART` bytes is
stored as `encrypt(archive)`, which every release can read. A larger one is cut into parts, so that neither writing nor
reading needs more memory than a few parts:

    stored archive:  MAGIC, then for each part: length of the ciphertext (4 bytes, big-endian), ciphertext
    plaintext part:  archive id (16 random bytes), index (8 bytes), 1 if it is the last one else 0 (1 byte), data

The id, the index and the mark of the last part are inside the ciphertext. With an `encrypt` that authenticates, a part
can therefore neither be moved, repeated, removed nor taken from another archive.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable, Iterator

from optio_agents.seeds.errors import SeedArchiveError

Cipher = Callable[[bytes], bytes]

PART = 1024 * 1024
"""Bytes of archive in one part. Encrypting so much takes a few milliseconds."""

MAGIC = b"optio-agents seed archive, encrypted in parts, version 1\n"
CIPHERTEXT_LIMIT = 16 * PART
"""The longest ciphertext of one part that is believed when reading."""

_LENGTH = struct.Struct(">I")
_HEADER = struct.Struct(">16sQB")


class Sealer:
    """Turns the bytes of an archive into the stored form. `encrypt=None` stores them unchanged."""

    def __init__(self, encrypt: Cipher | None) -> None:
        self._encrypt = encrypt
        self._held = bytearray()
        self._id = secrets.token_bytes(16)
        self._index = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes of the archive; yields what can be stored so far."""
        if self._encrypt is None:
            yield data
            return
        self._held += data
        while len(self._held) > PART:  # only `finish` knows which part is the last
            yield self._part(is_last=False)

    def finish(self) -> Iterator[bytes]:
        """The archive is complete; yields the rest."""
        if self._encrypt is None:
            return
        if self._index == 0:
            yield self._encrypt(bytes(self._held))
        else:
            yield self._part(is_last=True)

    def _part(self, *, is_last: bool) -> bytes:
        assert self._encrypt is not None
        data = bytes(self._held[:PART])
        del self._held[:PART]
        ciphertext = self._encrypt(_HEADER.pack(self._id, self._index, is_last) + data)
        start = MAGIC if self._index == 0 else b""
        self._index += 1
        return start + _LENGTH.pack(len(ciphertext)) + ciphertext


class Opener:
    """Turns the stored form back into the bytes of the archive. `decrypt=None` takes them unchanged.

    Raises, from either method:
        SeedArchiveError: a part is missing, foreign or out of order.
        Exception: an error of `decrypt`.
    """

    def __init__(self, decrypt: Cipher | None) -> None:
        self._decrypt = decrypt
        self._held = bytearray()
        self._is_in_parts: bool | None = None
        self._id = b""
        self._index = 0
        self._had_last = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next stored bytes; yields what can be read so far."""
        if self._decrypt is None:
            yield data
            return
        self._held += data
        if self._is_in_parts is None and len(self._held) >= len(MAGIC):
            self._is_in_parts = self._held.startswith(MAGIC)
            if self._is_in_parts:
                del self._held[: len(MAGIC)]
        while self._is_in_parts and (part := self._next_part()) is not None:
            yield part

    def finish(self) -> Iterator[bytes]:
        """All stored bytes were fed; yields the rest."""
        if self._decrypt is None:
            return
        if not self._is_in_parts:
            yield self._decrypt(bytes(self._held))
        elif self._held or not self._had_last:
            raise SeedArchiveError("the seed's archive is cut off: its last part is missing")

    def _next_part(self) -> bytes | None:
        if len(self._held) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._held)
        if length > CIPHERTEXT_LIMIT:
            raise SeedArchiveError(f"the seed's archive is damaged: a part of {length} bytes")
        if len(self._held) < _LENGTH.size + length:
            return None
        assert self._decrypt is not None
        plain = self._decrypt(bytes(self._held[_LENGTH.size : _LENGTH.size + length]))
        del self._held[: _LENGTH.size + length]
        if len(plain) < _HEADER.size:
            raise SeedArchiveError("the seed's archive is damaged: a part without its header")
        archive_id, index, is_last = _HEADER.unpack_from(plain)
        self._id = self._id or archive_id
        if archive_id != self._id or index != self._index or self._had_last:
            raise SeedArchiveError("the seed's archive is damaged: a part is foreign or out of order")
        self._index += 1
        self._had_last = bool(is_last)
        return plain[_HEADER.size :]
