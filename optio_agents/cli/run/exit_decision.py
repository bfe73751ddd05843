"""The exit code and one line of reason, from how the session ended: a pure function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from optio_agents.cli.exit_codes import ExitCode
from optio_agents.hosts.base import LogLost
from optio_agents.session.outcome import Ending, SessionOutcome


@dataclass(frozen=True, slots=True)
class Stop:
    """The reason for ending the run from outside, and the exit code for it."""

    code: ExitCode
    reason: str


def judge(
    outcome: SessionOutcome,
    *,
    status: str | None,
    stop: Stop | None,
    unsaved: Mapping[str, str],
    cause: BaseException | None = None,
) -> Stop:
    """The exit code and the reason.

    Args:
        outcome: the session's.
        status: how COMMAND exited, if it exited on its own (`exit status 3`).
        stop: why the run was ended from outside, if it was. An earlier DONE or ERROR takes precedence.
        unsaved: deliverables that could not be saved, and why.
        cause: the exception that made the session fail, if there was one.
    """
    said = outcome.message or ""
    match outcome.ending:
        case Ending.DONE:
            return Stop(ExitCode.IO_ERROR, _unsaved_text(unsaved)) if unsaved else Stop(ExitCode.DONE, said)
        case Ending.ERROR:
            return Stop(ExitCode.ERROR, said or "the agent said ERROR")
        case Ending.BODY_ENDED:
            return Stop(ExitCode.ENDED_EARLY, f"the agent ended before DONE ({status or 'no exit status'})")
        case Ending.CANCELLED if stop is not None:
            return stop
        case Ending.FAILED if unsaved:
            return Stop(ExitCode.IO_ERROR, _unsaved_text(unsaved))
        case Ending.FAILED if outcome.rejected:
            names = ", ".join(record.path for record in outcome.rejected)
            return Stop(ExitCode.ERROR, f"DONE, but not accepted: {names}")
        case Ending.FAILED if isinstance(cause, LogLost):
            return Stop(ExitCode.IO_ERROR, f"the log is lost: {cause}")
        case Ending.FAILED if outcome.unsettled or isinstance(cause, OSError):
            return Stop(ExitCode.IO_ERROR, str(cause or said))
        case _:
            return Stop(ExitCode.BUG, said or f"the session ended as {outcome.ending.value}")


def _unsaved_text(unsaved: Mapping[str, str]) -> str:
    path, why = next(iter(unsaved.items()))
    more = f" (and {len(unsaved) - 1} more)" if len(unsaved) > 1 else ""
    return f"could not save {path}: {why}{more}"
