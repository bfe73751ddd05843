"""The events that `run` shows: the session's events and six of its own. Values, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from optio_agents.cli.exit_codes import ExitCode
from optio_agents.session.events import SessionEvent
from optio_agents.session.outcome import SessionOutcome


@dataclass(frozen=True, slots=True)
class AgentStarted:
    """COMMAND has started."""

    command: tuple[str, ...]
    pid: int | None
    """`None` where it is not known: on a remote host, and for an agent that is talked to."""
    workdir: Path
    host: str | None = None
    """Where it runs, if not here: `user@host`."""


@dataclass(frozen=True, slots=True)
class RunInterrupted:
    """The run is being ended from outside (a signal, the timeout, our reader gone)."""

    reason: str


@dataclass(frozen=True, slots=True)
class AgentSaid:
    """A line of a coding agent's text."""

    text: str


@dataclass(frozen=True, slots=True)
class PageServed:
    """The page of the conversation is available at this address, which contains its secret."""

    url: str


@dataclass(frozen=True, slots=True)
class FileReplaced:
    """Saving a deliverable replaced a file that existed before this run."""

    path: Path


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The last event: how the run ended."""

    code: ExitCode
    reason: str
    """One line for humans: the summary of DONE, or why it failed."""
    elapsed: float
    """Seconds."""
    outcome: SessionOutcome | None = None
    """None when the session did not come that far."""
    saved: int = 0
    """How many times a deliverable was saved."""
    store: Path = Path("deliverables")
    """The directory in which deliverables are saved."""
    unsaved: Mapping[str, str] = field(default_factory=dict)
    """Deliverables that could not be saved here, and why."""
    tail: tuple[str, ...] = ()
    """The last lines of the agent's own output, harmless for a terminal; only when the run failed."""
    output: Path | None = None
    """Where the agent's whole output is kept, if it is."""
    log: Path | None = None
    """Where the log of a failed run is kept, if it is."""
    run_id: str | None = None
    """The name under which `optio-agents show` finds the run."""
    hints: tuple[str, ...] = ()
    """What the user could look at."""
    trace: str = ""
    """The traceback of a failure of ours."""


RunEvent: TypeAlias = (
    SessionEvent | AgentStarted | AgentSaid | PageServed | RunInterrupted | FileReplaced | RunEnded
)
