"""The checked settings of `run`: a COMMAND that exists, directories that can be used.

Errors that the user must fix are found here, before anything is started.
"""

from __future__ import annotations

import enum
import os
import shlex
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from optio_agents.cli.color import ColorChoice
from optio_agents.cli.exit_codes import UsageError
from optio_agents.hosts.ssh.settings import ORPHAN_GRACE, SshSettings
from optio_agents.protocol.features import DEFAULT_FEATURES, ProtocolFeatures


class Show(enum.Enum):
    """How the run is shown."""

    AUTO = "auto"
    """Live on a terminal, else plain lines."""
    JSON = "json"
    QUIET = "quiet"


StdinOfAgent: TypeAlias = Literal["messages", "null", "inherit"]
"""What COMMAND reads on its stdin: the messages of the harness, nothing, or what we read."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """One checked `optio-agents run`."""

    command: tuple[str, ...]
    """The program as an absolute path (with `ssh`: as it was given), then its arguments as they were given."""
    workdir: Path | None
    """The user's own directory, absolute; None: a fresh temporary one. With `ssh`: the one on the host."""
    deliverables: Path
    output: Path | None = None
    """Where the agent's own output is kept; None: a temporary file, kept only when the run fails."""
    stdin: StdinOfAgent = "messages"
    timeout: float | None = None
    """Seconds."""
    strict: bool = False
    overwrite_hidden: bool = False
    """Whether a deliverable with a dot name may replace a file here."""
    show: Show = Show.AUTO
    color: ColorChoice = "auto"
    features: ProtocolFeatures = DEFAULT_FEATURES
    ssh: SshSettings | None = None
    """The remote host; None: this machine."""
    orphan_grace: float = ORPHAN_GRACE
    """Seconds for which an agent on a remote host is kept when we have gone."""


def find_program(name: str, workdir: Path | None) -> str:
    """The absolute path of the program `name`, found as by a shell, relative to here (then to `workdir`).

    The agent runs in another directory, so a relative path must be resolved before it starts.

    Raises:
        UsageError: there is no such file, or it cannot be executed.
    """
    if not name:
        raise UsageError("COMMAND is empty")
    if os.sep not in name:
        found = shutil.which(name)
        if found is None:
            raise UsageError(f"command not found: {name}{_command_hint(name)}")
        return os.path.abspath(found)
    candidates = [Path(name).absolute()]
    if workdir is not None:
        candidates.append(workdir / name)
    for candidate in candidates:
        if candidate.is_file():
            if not os.access(candidate, os.X_OK):
                raise UsageError(f"command is not executable: {name} (chmod +x {shlex.quote(name)})")
            return str(candidate)
        if candidate.exists():
            raise UsageError(f"command is not a file: {name}")
    raise UsageError(f"command not found: {name}{_command_hint(name)}")


def _command_hint(name: str) -> str:
    """A hint on what was probably meant by a COMMAND that does not exist."""
    if os.path.isfile(name):
        return f"; to run the file in this directory, write {shlex.quote(f'./{name}')}"
    if any(character.isspace() or character in "|&;<>()$`" for character in name):
        return f"; for a command line of a shell, write: sh -c {shlex.quote(name)}"
    return ""


def check_workdir(workdir: Path) -> Path:
    """`workdir`, absolute; it is made if it is missing.

    Raises:
        UsageError: it is not a directory, or cannot be made, read or written; or its `optio.log` is not a regular file.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        mode = workdir.stat().st_mode
    except FileExistsError:
        raise UsageError(f"cannot use the workdir {workdir}: not a directory") from None
    except OSError as error:
        raise UsageError(f"cannot use the workdir {workdir}: {error.strerror}") from error
    if not stat.S_ISDIR(mode):
        raise UsageError(f"cannot use the workdir {workdir}: not a directory")
    if not os.access(workdir, os.R_OK | os.W_OK | os.X_OK):
        raise UsageError(f"cannot use the workdir {workdir}: it must be readable and writable")
    workdir = workdir.absolute()
    for name, wanted, what in (
        ("optio.log", stat.S_ISREG, "a regular file"),
        ("deliverables", stat.S_ISDIR, "a directory"),
    ):
        try:
            found = os.lstat(workdir / name).st_mode
        except FileNotFoundError:
            continue
        if not wanted(found):
            raise UsageError(f"cannot use the workdir {workdir}: its {name} is not {what}")
    return workdir


def relative_files(command: Sequence[str], workdir: Path | None) -> list[str]:
    """The arguments that name a file here but none in the workdir: they should probably be absolute paths.

    Only a hint for a failed run, because an argument may look like a file by accident.
    """
    return [
        argument
        for argument in command[1:]
        if not os.path.isabs(argument)
        and os.path.isfile(argument)
        and (workdir is None or not (workdir / argument).exists())
    ]
