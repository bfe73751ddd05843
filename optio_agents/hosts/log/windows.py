"""From frames to windows: sans-IO, shared by local and remote readers of a log."""

from __future__ import annotations

from collections import deque

from optio_agents.hosts.base import LogPosition, Window
from optio_agents.hosts.log.framer import Frame


class WindowBuilder:
    """Makes the windows of one reader and counts what was handed out and what was lost.

    Args:
        offset: where in the log the first frame begins.
    """

    def __init__(self, offset: int) -> None:
        self.ready: deque[Window] = deque()
        """Windows that the reader hands out next."""
        self.offset = offset
        """Just past the last line in `ready`."""
        self.lost = 0
        """Bytes known to be gone, which the next window will count."""

    def add(self, frame: Frame, fingerprint: bytes) -> None:
        """Make a window of a frame, unless it is without lines; `fingerprint` is that of the position at its end."""
        self.offset += frame.size
        if frame.data:
            end = LogPosition(self.offset, fingerprint)
            self.ready.append(Window(frame.data, end, frame.cut, self.lost))
            self.lost = 0

    def last_word(self, fingerprint: bytes, *, growing: bool = False) -> Window | None:
        """The end (`None`), or before it a window without lines that reports what was lost since the last one."""
        if not (self.lost or growing):
            return None
        lost, self.lost = self.lost, 0
        return Window(b"", LogPosition(self.offset, fingerprint), lost=lost, growing=growing)
