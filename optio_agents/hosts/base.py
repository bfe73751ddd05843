"""What a session needs of a host: values and protocols, no I/O.

The session's actors use a host only through `SessionHost`. Adapters for the existing hosts (our own Trio host,
optio-host's `LocalHost` and `RemoteHost`, any object with a few methods) are in the other files of this folder.
All coroutines here are Trio coroutines.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

WINDOW_LIMIT = 256 * 1024
"""The most bytes that one `Window` of a log holds."""

LINE_LIMIT = 64 * 1024
"""A line of more bytes than this is cut there and marked. Reading continues at the next newline."""


@dataclass(frozen=True, slots=True)
class LogPosition:
    """Where reading continues: just past the last complete line that was handed out.

    `offset` counts bytes of the present generation of the file. `fingerprint` is the reader's own note of which file
    that was: device, inode, the bytes before the offset or a hash of them. It is opaque to all other code.
    """

    offset: int = 0
    fingerprint: bytes = b""


LOG_START = LogPosition()


@dataclass(frozen=True, slots=True)
class Window:
    r"""A piece of log made of whole lines.

    `data` is at most `WINDOW_LIMIT` bytes. Every line in it ends with `b"\n"` (an unterminated last line is
    given one). A bare `\r` counts as an end of line and arrives as `\n`. `end` is where reading continues after it.
    `cut` counts lines cut at `LINE_LIMIT`, and `lost` bytes that are known to be gone (the file was truncated before
    they were read). `growing`: this is the last window of a log that is still being written after `finish`.
    """

    data: bytes
    end: LogPosition
    cut: int = 0
    lost: int = 0
    growing: bool = False


Take: TypeAlias = Callable[[Window], bool]
"""Handles a window at once, never waiting, and returns `True`; or returns `False`, having done nothing."""


class LogReader(Protocol):
    """One open reader of one log. Used by one task."""

    async def read(self, take: Take | None = None) -> Window | None:
        """Wait for at least one whole line; `None` once `finish` was called and everything has been read.

        A reader may learn of new lines before the task that waits here is awake. It may then offer them to `take` at
        once, in that task's context variables, and continue to wait if `take` handles them. `read` raises what `take`
        raises.

        Raises:
            LogLost: the log cannot be read at present; a new reader may resume at the last window's `end`.
        """

    def finish(self) -> None:
        """Nothing more will be written: read to the end of the file, hand out an unterminated last line, end.

        May be called from another task while `read` waits; idempotent.
        """


class LogLost(Exception):  # noqa: N818 - named for what happened, as trio does
    """The log cannot be read any further (I/O error, connection lost). The environment's fault; a restart may help."""


class OpenDeliverable(Protocol):
    """A deliverable that was checked and opened in one step. What is read is the file that was checked."""

    @property
    def size(self) -> int:
        """Bytes, as of the check."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The content from its beginning, in pieces of at most 256 KiB, `size` bytes at the most.

        Raises:
            DeliverableRejected: it shrank, grew past the limit or became unreadable meanwhile.
        """


class SessionHost(Protocol):
    """A host, as a session's actors see it."""

    @property
    def workdir(self) -> str:
        """Absolute path, on the host, of the directory in which the agent works."""

    async def setup_workdir(self) -> None:
        """Make a fresh, empty workdir (wipes what was there)."""

    async def prepare_channel(self) -> None:
        """Make `deliverables/` and an empty `optio.log`, never through a symlink that the workdir holds."""

    def open_log(
        self, position: LogPosition, *, settled: Callable[[bytes], bool]
    ) -> AbstractAsyncContextManager[LogReader]:
        """Follow `optio.log` from `position`.

        `settled(partial)` is asked about an unterminated last line that has not changed for two seconds; when it
        says yes, that line counts as complete (an agent whose last act is `DONE` without a newline).
        """

    def open_deliverable(
        self, relative_path: str, *, limit: int
    ) -> AbstractAsyncContextManager[OpenDeliverable]:
        """Open `deliverables/<relative_path>` beneath the deliverables directory, following no link out of it.

        Never blocks on a FIFO or device. `limit` is in bytes.

        Raises:
            DeliverableRejected: it is missing, of the wrong kind, too large, outside, or cannot be read.
        """

    async def install_scripts(self, directory: str, scripts: Mapping[str, str]) -> str:
        """Write executable `scripts` (name to text) into `<workdir>/<directory>`, return its absolute path."""

    async def search_path(self) -> str:
        """The `PATH` of the commands that are run on the host; empty if there is no way to know."""
