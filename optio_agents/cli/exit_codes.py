"""The exit codes of `optio-agents`, in one table, and the failures that carry one."""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """The meanings of the exit codes. Part of the interface: scripts branch on them."""

    DONE = 0
    """The agent said DONE and all before it is settled."""
    ERROR = 1
    """The agent said ERROR; or, with `--strict`, DONE although a deliverable stayed rejected."""
    USAGE = 2
    """The arguments cannot be used: the user's to fix. Nothing was started."""
    ENDED_EARLY = 3
    """COMMAND ended before it said DONE or ERROR."""
    BUG = 70
    """A failure inside optio-agents (EX_SOFTWARE)."""
    IO_ERROR = 74
    """A deliverable could not be saved here, the session's own files not be read or written, or the remote
    host not be reached (EX_IOERR)."""
    TIMEOUT = 124
    """`--timeout` ran out (what coreutils' `timeout` uses)."""
    INTERRUPTED = 130
    """Ended by Ctrl-C, SIGTERM, SIGHUP, or because the reader of the output is gone."""


class CommandFailure(Exception):  # noqa: N818 - a base for what is reported to the user, not a bug
    """A failure that the command line reports in one line and turns into `code`; no traceback is shown."""

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class UsageError(CommandFailure):
    """An argument or a setting of the user cannot be used (a missing command, an unreadable directory)."""

    def __init__(self, message: str) -> None:
        super().__init__(ExitCode.USAGE, message)
