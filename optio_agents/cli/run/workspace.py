"""The workdir of a run, the file with the agent's own output, and their removal."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from optio_agents.cli.exit_codes import CommandFailure, ExitCode, UsageError
from optio_agents.cli.run.evidence import Evidence
from optio_agents.cli.run.output_limit import shorten
from optio_agents.cli.run.settings import RunSettings
from optio_agents.hosts.files.removal import remove_tree
from optio_agents.protocol.display import display_text

TAIL_BYTES = 16 * 1024
TAIL_LINES = 15
TAIL_WIDTH = 300
"""How much of the agent's output is shown when it fails: the last lines, each with at most so many characters."""

PREFIX = "optio-agents-"
"""How the names of temporary files and directories begin."""

_KEEP = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY


class Workspace:
    """The directories and files of one run. `close` removes what is temporary.

    Attributes:
        workdir: absolute path of the directory in which COMMAND runs.
        temporary: whether the workdir was made for this run and is removed at its end.
        output: the file for COMMAND's stdout and stderr.
        bounded: whether only the beginning and the end of a long output are kept; the user's own file stays whole.
        descriptor: `output`, open for appending.
        evidence: what is kept of the run.
    """

    def __init__(self, settings: RunSettings) -> None:
        """Make them.

        Raises:
            UsageError: the output file cannot be written, or another run is at work in the workdir.
            CommandFailure: the system's temporary directory cannot be used.
        """
        self.temporary = settings.workdir is None
        self._lock = None if settings.workdir is None else _lock(settings.workdir)
        self.evidence = Evidence(settings)
        self.bounded = settings.output is None
        output = settings.output or self.evidence.output
        self._own_output = output is None
        if output is not None:
            self.output = output
            try:
                self.descriptor = os.open(self.output, _KEEP, 0o666 if settings.output else 0o600)
            except OSError as error:
                self.evidence.discard()
                raise UsageError(f"cannot keep the output in {self.output}: {error.strerror}") from error
        else:
            try:
                self.descriptor, name = tempfile.mkstemp(prefix=PREFIX, suffix=".log")
            except OSError as error:
                raise CommandFailure(ExitCode.IO_ERROR, f"no temporary file: {error.strerror}") from error
            self.output = Path(name)
        try:
            self.workdir = settings.workdir or Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
        except OSError as error:
            self._close_output(keep=False)
            self.evidence.discard()
            raise CommandFailure(ExitCode.IO_ERROR, f"no temporary directory: {error.strerror}") from error

    @property
    def has_output(self) -> bool:
        """Whether the agent wrote anything."""
        return os.fstat(self.descriptor).st_size > 0

    def tail(self) -> tuple[str, ...]:
        """The last lines of the agent's output, harmless for a terminal; none if it went to a terminal or pipe."""
        if not stat.S_ISREG(os.fstat(self.descriptor).st_mode):
            return ()
        with open(self.output, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - TAIL_BYTES))
            data = file.read(TAIL_BYTES)
        lines = [line.rstrip() for line in data.decode("utf-8", "replace").splitlines()]
        if size > TAIL_BYTES:
            # The first line began before the part that was read. It is shown only if it is the only one.
            lines[0] = "" if any(line.strip() for line in lines[1:]) else f"…{lines[0]}"
        shown = [line for line in lines if line.strip()][-TAIL_LINES:]
        return tuple(_abridged(display_text(line, TAIL_BYTES)) for line in shown)

    def close(self, *, keep_output: bool) -> Path | None:
        """Remove what is temporary; the output file stays if `keep_output`, or if the user named it.

        Returns:
            The workdir, if it could not be removed.
        """
        self._close_output(keep=keep_output)
        self.evidence.close()
        if self._lock is not None:
            os.close(self._lock)
        return self.workdir if self.temporary and not remove_workdir(self.workdir) else None

    def _close_output(self, *, keep: bool) -> None:
        remove = self._own_output and not keep
        if self.bounded and not remove:
            with suppress(OSError):  # the file then stays long, without what was freed already
                shorten(self.descriptor)
        os.close(self.descriptor)
        if remove:
            self.output.unlink(missing_ok=True)


def _lock(workdir: Path) -> int | None:
    """Lock a workdir until the descriptor is closed: two runs would read one log, and one agent's DONE end both.

    Raises:
        UsageError: another run has locked it.
    """
    try:
        descriptor = os.open(workdir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None  # what uses it says why it cannot be used
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UsageError(
            f"another run is at work in {workdir}: wait for its end, or choose another --workdir"
        ) from None
    except OSError:
        pass  # a file system without locks
    return descriptor


def _abridged(line: str) -> str:
    """A line of at most `TAIL_WIDTH` characters, cut in the middle: the reason may be at its beginning or its end."""
    if len(line) <= TAIL_WIDTH:
        return line
    half = (TAIL_WIDTH - 3) // 2
    return f"{line[: TAIL_WIDTH - 3 - half]} … {line[-half:]}"


def remove_workdir(path: Path) -> bool:
    """Remove `path` with everything in it; return whether it is gone (files of another user may remain)."""
    try:
        remove_tree(path)
    except OSError:
        return False
    return True
