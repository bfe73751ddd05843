"""Each event as plain lines, for logs and pipes: pure functions.

Agents may write anything, so each of their texts goes through `display_text` before it is printed on a terminal.
"""

from __future__ import annotations

from pathlib import Path

from optio_agents.cli.durations import clock
from optio_agents.cli.exit_codes import ExitCode
from optio_agents.cli.run.output.events import (
    AgentSaid,
    AgentStarted,
    FileReplaced,
    PageServed,
    RunEnded,
    RunEvent,
    RunInterrupted,
)
from optio_agents.protocol.display import display_text
from optio_agents.protocol.limits import URL_LIMIT
from optio_agents.session.events import (
    AttentionAsked,
    BrowserAsked,
    CallerMessage,
    ClientMessage,
    DeliverableSettled,
    Ended,
    LineHinted,
    MessageSent,
    ProblemReported,
    ProgressReported,
)
from optio_agents.session.outcome import DeliverableRecord

LINE_LIMIT = 400
"""Characters of one shown text; a terminal is no place for more."""

_UNITS = ("KiB", "MiB", "GiB")
_UNIT = 1024


def readable(text: object) -> str:
    """`text` on one line, harmless for a terminal, cut to `LINE_LIMIT` characters."""
    return display_text(str(text), LINE_LIMIT)


def whole(text: object) -> str:
    """`text` on one line, harmless for a terminal, and not cut: an address, a reason or a summary must be complete.

    The protocol bounds these texts already (`protocol.limits`).
    """
    return display_text(str(text), URL_LIMIT)


def size_text(size: int | None) -> str:
    """`size` bytes for humans: `0 bytes`, `17 bytes`, `1.5 KiB`."""
    if size is None:
        return "unknown size"
    if size < _UNIT:
        return f"{size} byte{'' if size == 1 else 's'}"
    value, unit = size / _UNIT, 0
    while value >= _UNIT and unit < len(_UNITS) - 1:
        value, unit = value / _UNIT, unit + 1
    return f"{value:.1f} {_UNITS[unit]}"


def verdict(record: DeliverableRecord) -> str:
    """The result of a deliverable, in a few words."""
    if record.accepted:
        return f"saved, {size_text(record.size)}"
    if record.failed:
        return "could not be saved"
    return f"rejected: {readable(record.kind.value if record.kind else record.reply)}"


def event_line(event: RunEvent) -> str | None:
    """One line without its newline; None for an event that plain output does not show."""
    match event:
        case AgentStarted(command, pid, _, host):
            where = f" (on {readable(host)})" if host is not None else "" if pid is None else f" (pid {pid})"
            return f"started {readable(Path(command[0]).name)}{where}"
        case AgentSaid(text):
            return f"  | {whole(text)}"
        case ProgressReported(percent, message):
            share = "    " if percent is None else f"{percent:3.0f}%"
            return f"{share} {readable(message or '')}".rstrip() or None
        case DeliverableSettled(record):
            return f"deliverable {readable(record.path)}: {verdict(record)}"
        case AttentionAsked(reason):
            return f"attention: {whole(reason)}"
        case BrowserAsked(url):
            return f"open in a browser: {whole(url)}"
        case ClientMessage(keyword, data):
            return f"client message {readable(keyword)}: {readable(data)}"
        case CallerMessage(keyword, data):
            return f"caller message {readable(keyword)}: {readable(data)}"
        case MessageSent(text, True) if text.startswith("deliverable "):
            return None  # the deliverable's own line shows it
        case MessageSent(text, delivered):
            return f"to the agent: {readable(text)}" + ("" if delivered else " (not delivered)")
        case LineHinted(line, hint):
            return f"not a keyword: {readable(line)} ({readable(hint)})"
        case ProblemReported(text):
            return f"problem: {readable(text)}"
        case PageServed(url):
            return f"the conversation in a browser: {whole(url)}"
        case FileReplaced(path):
            return f"replaced {whole(shown_path(path))}, which was there before this run"
        case RunInterrupted(reason):
            return f"ending the agent: {readable(reason)}"
        case Ended() | RunEnded():
            return None


def shown_path(path: Path) -> str:
    """`path` as a user would write it: relative if it is beneath the current directory."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def headline(ended: RunEnded) -> str:
    """How it ended, in one line."""
    word = {
        ExitCode.DONE: "done",
        ExitCode.ERROR: "failed",
        ExitCode.ENDED_EARLY: "failed",
        ExitCode.TIMEOUT: "timed out",
        ExitCode.INTERRUPTED: "interrupted",
    }.get(ended.code, "failed")
    count = ended.saved
    place = whole(shown_path(ended.store))
    saved = f", {count} deliverable{'' if count == 1 else 's'} saved in {place}" if count else ""
    reason = f": {whole(ended.reason)}" if ended.reason else ""
    return f"{word} after {clock(ended.elapsed)}{saved}{reason}"


def failure_lines(ended: RunEnded) -> list[str]:
    """Help for a run that did not end well: unsaved deliverables, the agent's last output, hints."""
    lines = [f"not saved: {readable(path)}: {readable(why)}" for path, why in ended.unsaved.items()]
    if ended.code is ExitCode.DONE:
        return lines
    if ended.outcome is not None:
        lines += [f"problem: {readable(problem)}" for problem in dict.fromkeys(ended.outcome.problems)]
        lines += [f"did not stop in time: {readable(name)}" for name in ended.outcome.abandoned]
    if ended.tail:
        lines += ["the end of its output:", *(f"  | {line}" for line in ended.tail)]
    if ended.output is not None:
        lines.append(f"its whole output: {ended.output}")
    if ended.log is not None:
        lines.append(f"its log: {ended.log}")
    lines += [f"hint: {hint}" for hint in ended.hints]
    if ended.run_id is not None and ended.outcome is not None:
        lines.append(f"the whole story: optio-agents show {ended.run_id}")
    lines += ended.trace.splitlines()
    return lines
