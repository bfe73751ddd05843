r"""From bytes in any chunking to whole lines: sans-IO, shared by local and remote readers of a log.

Bytes are framed before they are decoded. What a line is:

- `\n`, `\r\n` and a bare `\r` (progress that redraws itself) end a line; all three arrive as `\n`.
- A `\r` ends its line at once, without waiting for the next byte; a `\n` that follows is dropped.
- A line of more than `LINE_LIMIT` bytes is cut so that it fits, mark included; what follows is skipped up to
  the next line end, however far that is. Only the head is kept meanwhile, and the cut line is handed out when
  its end has been seen: no frame ever ends inside a line.

A normal chunk costs one backward search for `\n`, one search for `\r`, a few hops over line ends (one per
`LINE_LIMIT` bytes) and one slice. There is no work per line.
"""

from __future__ import annotations

from dataclasses import dataclass

from optio_agents.hosts.base import LINE_LIMIT, WINDOW_LIMIT

CUT_MARK = b" [line cut]"
"""What a line that was too long ends with."""

_CONTINUATION = range(0x80, 0xC0)  # bytes two to four of a character in UTF-8


@dataclass(frozen=True, slots=True)
class Frame:
    r"""Whole lines, normalised, and how many bytes of the input they account for.

    `data` ends with `\n` and is at most `WINDOW_LIMIT` bytes; it is empty when the input held only the second
    half of a line end whose first half was handed out before. `cut` counts the lines in it that were too
    long.
    """

    data: bytes
    size: int
    cut: int = 0


class Framer:
    """Cuts a stream of bytes into frames of whole lines. Never holds more than about `LINE_LIMIT` bytes.

    Args:
        previous: the bytes before the first byte that will be fed, at least the last one. They distinguish a line
            end that ends an empty line from one that only completes the previous line.
    """

    def __init__(self, previous: bytes = b"") -> None:
        self._tail = b""  # the unterminated line so far, or its head once it is too long
        self._skipped = 0  # bytes of that line dropped behind the head; it is too long when this is not 0
        self._swallow = b""  # line ends that would only complete the line handed out last
        self._ended_by(previous)

    @property
    def partial(self) -> bytes:
        """The unterminated last line so far (cut and marked if it is too long)."""
        return _cut(self._tail) if self._skipped else self._tail

    @property
    def skipping(self) -> bool:
        """Whether the unterminated last line is too long, so that only its head is kept."""
        return self._skipped > 0

    @property
    def held(self) -> int:
        """The number of bytes fed that belong to no frame yet."""
        return len(self._tail) + self._skipped

    def passes(self, lines: bytes) -> bool:
        """Whether `feed(lines)` would give one frame of exactly these bytes, and leave the framer unchanged.

        That holds for what most agents write at once. It may be `False` for other such lines, too.
        """
        return (
            lines.endswith(b"\n")
            and b"\r" not in lines
            and len(lines) <= LINE_LIMIT
            and not (self._tail or self._skipped or self._swallow)
        )

    def feed(self, data: bytes | bytearray, start: int = 0) -> list[Frame]:
        """Take in `data[start:]`; return the frames that it completes, in order (mostly none or one)."""
        frames: list[Frame] = []
        while start < len(data):
            stop = min(len(data), start + WINDOW_LIMIT - len(self._tail))
            start = self._take(data, start, stop, frames)
        return frames

    def skip(self, size: int) -> None:
        """Add `size` bytes to the line that is being skipped: a hole in a file need not be read."""
        self._skipped += size

    def unread(self) -> None:
        """Forget the unterminated last line: the caller is going to feed it again, from its beginning.

        For a source that can be read at any offset this is cheaper than joining the old tail with the new
        bytes, and it sees a last line that was changed in place. A line that is being skipped is not
        forgotten (see `held`).
        """
        if not self._skipped:
            self._tail = b""

    def flush(self) -> Frame | None:
        """End the input here: the unterminated last line counts as a line. `None` if there is none."""
        if not self.held:
            return None
        frame = Frame(self.partial + b"\n", self.held, cut=bool(self._skipped))
        self._ended_by(self._tail)
        self._tail, self._skipped = b"", 0
        return frame

    def _take(self, data: bytes | bytearray, start: int, stop: int, frames: list[Frame]) -> int:
        """Frame `data[start:stop]` or its beginning; return where to continue."""
        if self._swallow:
            first = data[start : start + 1]
            completes = first in self._swallow
            self._ended_by(first if completes else b"")
            if completes:
                frames.append(Frame(b"", 1))
                return start + 1
        if self._skipped:
            return self._skip(data, start, stop, frames)
        last = data.rfind(b"\n", start, stop)
        returns = data.find(b"\r", start, stop) >= 0
        if returns:
            last = max(last, data.rfind(b"\r", start, stop))
        if last < 0:
            self._keep(self._tail + data[start:stop])
            return stop
        # Of bytes, a slice that is all of them is the same object; of a bytearray, a copy must be made, but only one.
        whole = data if isinstance(data, bytes) else memoryview(data)
        lines = bytes(whole[start : last + 1])
        if self._tail:
            lines = self._tail + lines
        size = len(lines)
        if returns:
            self._ended_by(lines)
            lines = lines.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        cut = 0
        if _holds_long_line(lines):
            lines, cut = _cut_long_lines(lines)
        frames.append(Frame(lines, size, cut))
        self._keep(bytes(data[last + 1 : stop]))
        return stop

    def _skip(self, data: bytes | bytearray, start: int, stop: int, frames: list[Frame]) -> int:
        """Continue to the end of a line that is too long."""
        end = data.find(b"\n", start, stop)
        earlier = data.find(b"\r", start, stop if end < 0 else end)
        if earlier >= 0:
            end = earlier
        if end < 0:
            self._skipped += stop - start
            return stop
        frames.append(Frame(_cut(self._tail) + b"\n", self.held + end + 1 - start, cut=1))
        self._tail, self._skipped = b"", 0
        self._ended_by(data[end : end + 1])
        return end + 1

    def _keep(self, tail: bytes) -> None:
        """Hold an unterminated line, or the head of it."""
        if tail:
            self._swallow = b""
        self._skipped = max(0, len(tail) - LINE_LIMIT)
        self._tail = tail[:LINE_LIMIT]

    def _ended_by(self, previous: bytes | bytearray) -> None:
        r"""Note which line ends would only complete the end of `previous`.

        That is a `\n` after a `\r`, and any line end after a line that was handed out without one.
        """
        if not previous or previous.endswith(b"\n"):
            self._swallow = b""
        else:
            self._swallow = b"\n" if previous.endswith(b"\r") else b"\r\n"


def _holds_long_line(lines: bytes) -> bool:
    """Whether a line is longer than the limit: hop from one line end to the last one that is within reach."""
    start = 0
    while len(lines) - start > LINE_LIMIT + 1:
        end = lines.rfind(b"\n", start, start + LINE_LIMIT + 1)
        if end < 0:
            return True
        start = end + 1
    return False


def _cut_long_lines(lines: bytes) -> tuple[bytes, int]:
    """Cut every line that is longer than the limit; also return how many there were."""
    split = lines.split(b"\n")
    long = [index for index, line in enumerate(split) if len(line) > LINE_LIMIT]
    for index in long:
        split[index] = _cut(split[index])
    return b"\n".join(split), len(long)


def _cut(line: bytes) -> bytes:
    """The head of a line that is too long, cut between two characters, and the mark."""
    end = LINE_LIMIT - len(CUT_MARK)
    while line[end] in _CONTINUATION and end > LINE_LIMIT - len(CUT_MARK) - 3:
        end -= 1
    return line[:end] + CUT_MARK
