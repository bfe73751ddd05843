"""Following a log that lies on another machine: from a stream of bytes to windows of whole lines.

The stream comes from the program `remote_follower`, or from `tail -F` where there is no Python 3 (`tail` does not
notice a log that was truncated and rewritten longer). It begins at our offset. After a dropped connection a new reader
continues where the last one stopped, if the bytes before that offset are unchanged.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Callable
from hashlib import blake2b
from struct import Struct
from typing import Protocol

import trio

from optio_agents.hosts.base import LogLost, LogPosition, Take, Window
from optio_agents.hosts.log.framer import Framer
from optio_agents.hosts.log.local_reader import QUIET
from optio_agents.hosts.log.remote_follower import CONTEXT, PIECE
from optio_agents.hosts.log.windows import WindowBuilder

_FINGERPRINT = Struct(">H8sB")  # number of bytes that the digest covers, the digest, the last byte
_RECORD = Struct(">cI")
_HOLE = Struct(">Q")

RECORD_LIMIT = PIECE
"""The most bytes of one record that the follower sends."""

ANSWER = 60.0
"""Seconds without a word, at the beginning and at the end of a log, after which its host is given up."""

FRAMED, PLAIN = b"P", b"T"
"""The first byte of the stream: records of the follower, or the bytes of the log themselves."""


class Channel(Protocol):
    """The remote process that streams the log."""

    async def receive(self) -> bytes:
        """Wait for some bytes; `b""` at the end. Raises `LogLost`."""

    async def size(self) -> int:
        """The present length of the log in bytes. Raises `LogLost`."""

    def nothing_more_will_be_written(self) -> None:
        """Ask the follower to send the rest and end."""

    async def stderr_excerpt(self) -> str:
        """What the process wrote to its standard error, once its output has ended."""


class RemoteLogReader:
    """Implements `hosts.base.LogReader`.

    Args:
        channel: streams from `position` on.
        position: as given to `start_arguments`.
        settled: see `hosts.base.SessionHost.open_log`.
    """

    def __init__(self, channel: Channel, position: LogPosition, settled: Callable[[bytes], bool]) -> None:
        self._channel = channel
        self._settled = settled
        self._received = position.offset  # just past the last byte received
        self._before = b""  # up to CONTEXT bytes before `_received`
        self._framer = Framer(_last_byte(position))
        self._windows = WindowBuilder(position.offset)
        self._input = bytearray()
        self._mode = b""
        self._finishing = False
        self._waiting = trio.CancelScope()  # for what the host sends next
        self._finish_asked = False
        self._refused = b""  # the unterminated line that `settled` said no to
        self._ended = False

    async def read(self, take: Take | None = None) -> Window | None:
        """See `hosts.base.LogReader.read`."""
        await trio.lowlevel.checkpoint()
        while True:
            if self._windows.ready:
                return self._windows.ready.popleft()
            if self._ended:
                return self._windows.last_word(_fingerprint(self._before))
            if self._finishing and self._mode == PLAIN:
                await self._read_plain_rest()
            else:
                await self._read_more()

    def finish(self) -> None:
        """See `hosts.base.LogReader.finish`."""
        self._finishing = True
        self._waiting.deadline = self._deadline()
        self._pass_finish_on()

    def _deadline(self) -> float:
        """Until when the host must send something, first and after `finish`. In between a log may be silent."""
        return trio.current_time() + ANSWER if self._finishing or not self._mode else math.inf

    async def _read_more(self) -> None:
        partial = self._framer.partial
        if not partial or partial == self._refused:
            self._take(await self._receive())
            return
        with trio.move_on_after(QUIET):
            self._take(await self._receive())
            return
        if self._settled(partial):
            self._flush()
        else:
            self._refused = partial

    async def _read_plain_rest(self) -> None:
        size = await self._channel.size()
        while self._received < size:
            self._take(await self._receive())
        self._end()

    async def _receive(self) -> bytes:
        data = b""
        with trio.CancelScope() as self._waiting:
            self._waiting.deadline = self._deadline()
            data = await self._channel.receive()
        if self._waiting.cancelled_caught:
            raise OSError(errno.ETIMEDOUT, f"the host has sent nothing of the log for {ANSWER:g} s")
        if not data:
            raise LogLost(f"the remote log's reader has ended: {await self._channel.stderr_excerpt()}")
        return data

    def _take(self, data: bytes) -> None:
        if not self._mode:
            self._mode, data = data[:1], data[1:]
            if self._mode not in (FRAMED, PLAIN):
                raise LogLost(f"the remote host answered {(self._mode + data)[:200]!r}")
            self._pass_finish_on()
        if self._mode == PLAIN:
            self._frame(data)
            return
        self._input += data
        while len(self._input) >= _RECORD.size:
            kind, length = _RECORD.unpack_from(self._input)
            if length > RECORD_LIMIT:
                raise LogLost(
                    f"the remote host sends a record of {length:,} bytes, where {RECORD_LIMIT:,} is the most"
                )
            end = _RECORD.size + length
            if len(self._input) < end:
                break
            payload = bytes(memoryview(self._input)[_RECORD.size : end])
            del self._input[:end]
            self._take_record(kind, payload)

    def _take_record(self, kind: bytes, payload: bytes) -> None:
        if kind == b"D":
            self._frame(payload)
        elif kind == b"R":
            self._windows.lost += self._framer.held
            self._windows.offset = self._received = 0
            self._before = b""
            self._framer = Framer()
        elif kind == b"H":
            self._skip(payload)
        elif kind == b"E":
            self._end()
        else:
            raise LogLost(f"the remote log cannot be read: {payload.decode('utf-8', 'replace')}")

    def _frame(self, data: bytes) -> None:
        held = self._before + data
        base = self._received - len(self._before)
        for frame in self._framer.feed(data):
            end = self._windows.offset + frame.size - base
            self._windows.add(frame, _fingerprint(held[max(0, end - CONTEXT) : end]))
        self._received += len(data)
        self._before = held[-CONTEXT:]

    def _skip(self, payload: bytes) -> None:
        """A hole, in the middle of a line that is too long."""
        if len(payload) != _HOLE.size or not self._framer.skipping:
            raise LogLost("the remote host reports a hole where there can be none")
        (size,) = _HOLE.unpack(payload)
        self._framer.skip(size)
        self._received += size
        self._before = (self._before + bytes(min(size, CONTEXT)))[-CONTEXT:]

    def _flush(self) -> None:
        frame = self._framer.flush()
        if frame is not None:
            self._windows.add(frame, _fingerprint(self._before))

    def _end(self) -> None:
        self._flush()
        self._ended = True

    def _pass_finish_on(self) -> None:
        if self._finishing and self._mode == FRAMED and not self._finish_asked:
            self._finish_asked = True
            self._channel.nothing_more_will_be_written()


def _fingerprint(context: bytes) -> bytes:
    return _FINGERPRINT.pack(len(context), _digest(context), context[-1] if context else 0)


def start_arguments(position: LogPosition) -> tuple[str, str, str]:
    """The offset, the digest and its length, as `follower` takes them.

    Raises:
        LogLost: the position was made by another kind of reader.
    """
    if not position.offset:
        return "0", "", "0"
    if len(position.fingerprint) != _FINGERPRINT.size:
        raise LogLost(f"{position} was not made by a reader of remote logs")
    size, digest, _ = _FINGERPRINT.unpack(position.fingerprint)
    return str(position.offset), digest.hex(), str(size)


def _last_byte(position: LogPosition) -> bytes:
    if len(position.fingerprint) != _FINGERPRINT.size:
        return b""
    return bytes([_FINGERPRINT.unpack(position.fingerprint)[2]])


def _digest(context: bytes) -> bytes:
    return blake2b(context, digest_size=8).digest()
