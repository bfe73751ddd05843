"""`optio-agents check`: say what each line of a log means, and which lines were probably meant otherwise."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from optio_agents.cli.exit_codes import UsageError
from optio_agents.cli.features import add_feature_options, features_of
from optio_agents.hosts.log.framer import Framer
from optio_agents.protocol.display import display_text
from optio_agents.protocol.events import (
    AttentionEvent,
    BrowserEvent,
    CallerMessageEvent,
    ClientMessageEvent,
    DeliverableEvent,
    DoneEvent,
    ErrorEvent,
    LogEvent,
    StatusEvent,
    UnknownLine,
)
from optio_agents.protocol.features import ProtocolFeatures
from optio_agents.protocol.near_miss import near_miss
from optio_agents.protocol.parser import line_parser
from optio_agents.protocol.paths import locate
from optio_agents.protocol.rejections import DeliverableRejected
from optio_agents.protocol.replies import rejected_reply
from optio_agents.protocol.slips import slip

SLIPS = 1
"""The exit code for a log with lines that are probably slips."""

_CHUNK = 256 * 1024
_TEXT_LIMIT = 160


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `check` and its arguments."""
    parser = subparsers.add_parser(
        "check",
        help="say what each line of a log means",
        description="Say what each line of a log means to a session. Lines that are probably slips get a hint.",
        epilog="exit codes: 0 no slips, 1 at least one line is probably a slip, 2 the log cannot be read",
    )
    parser.add_argument(
        "log",
        type=Path,
        metavar="LOGFILE",
        help="usually optio.log; or the id of a run; - is stdin",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per line on stdout")
    add_feature_options(parser)


@dataclass(frozen=True, slots=True)
class CheckedLine:
    """One line of a log that is not blank."""

    number: int
    text: str
    meaning: str
    """What it means to a session, in one line."""
    keyword: str | None
    """The keyword that it begins with; `None` for plain text."""
    hint: str | None = None
    """What is probably wrong with it, and the remedy."""
    terminated: bool = True
    """Whether it ends with a newline. A running session waits for that; at the end of a session the line counts."""


def run(args: argparse.Namespace) -> int:
    """Print what each line means; return the exit code.

    Raises:
        UsageError: the log cannot be read.
    """
    slips = 0
    for line in checked_lines(_log_of(args.log), features_of(args)):
        slips += line.hint is not None
        if args.json:
            print(json.dumps(asdict(line)))
            continue
        print(f"{line.number:6}  {line.meaning}")
        if line.hint is not None:
            print(f"        slip: {line.hint}")
        if not line.terminated:
            print("        no newline at its end: a running session waits for it")
    if slips and not args.json:
        print(f"{slips} probable {'slip' if slips == 1 else 'slips'}")
    return SLIPS if slips else 0


def checked_lines(log: Path, features: ProtocolFeatures) -> Iterator[CheckedLine]:
    """Each line of `log` that is not blank, with its meaning; `-` is stdin. Holds one line in memory.

    Raises:
        UsageError: the log cannot be read.
    """
    parse = line_parser(features)
    workdir = os.getcwd() if str(log) == "-" else os.path.dirname(os.path.abspath(log))
    ended_at: int | None = None
    for number, (line, terminated) in enumerate(_lines(log), 1):
        if not line.strip():
            continue
        event = parse(line)
        keyword = None if isinstance(event, UnknownLine) else line.partition(":")[0].strip()
        if ended_at is not None:
            meaning = f"not read, because the log ended in line {ended_at}: {_shown(line)}"
            hint = f"{keyword} after the end is lost: write it before DONE or ERROR" if keyword else None
        else:
            meaning, hint = describe(event, workdir), _hint(line, event, workdir, features)
            if isinstance(event, DoneEvent | ErrorEvent):
                ended_at = number
        yield CheckedLine(number, _shown(line), meaning, keyword, hint, terminated)


def _log_of(name: Path) -> Path:
    """The path of the log `name`: a file, or an earlier run."""
    if str(name) == "-" or name.exists() or len(name.parts) != 1:
        return name
    from optio_agents.cli.runs_directory import LOG, find_run

    try:
        return find_run(str(name)).directory / LOG
    except UsageError:
        return name  # The error about the file is more helpful to most users.


def slips_of(log: Path, features: ProtocolFeatures, limit: int = 20) -> list[str]:
    """The hints for the probable slips in `log`, each with its line; at most `limit`."""
    found = (
        f"line {line.number}: {line.hint}" for line in checked_lines(log, features) if line.hint is not None
    )
    try:
        return list(islice(found, limit))
    except UsageError:
        return []  # It cannot be read: the run has reported that already.


def _hint(line: str, event: LogEvent, workdir: str, features: ProtocolFeatures) -> str | None:
    if isinstance(event, UnknownLine):
        missed = near_miss(line, features)
        return None if missed is None else missed.text
    if (text := slip(line, event)) is not None:
        return text
    if isinstance(event, DeliverableEvent):
        try:
            locate(event.path, workdir)
        except DeliverableRejected as rejected:
            return rejected_reply(rejected)
    return None


def describe(event: LogEvent, workdir: str) -> str:
    """What one event means, in one line that is safe to print.

    Args:
        event: a line's event.
        workdir: the directory of the log, to judge the paths of deliverables.
    """
    match event:
        case StatusEvent(None, message):
            return f"STATUS: {_shown(message)}"
        case StatusEvent(percent, message):
            return f"STATUS at {percent}%: {_shown(message)}"
        case DeliverableEvent(path):
            return f"DELIVERABLE: {_judged(path, workdir)}"
        case DoneEvent(summary):
            return "DONE" if summary is None else f"DONE: {_shown(summary)}"
        case ErrorEvent(message):
            return "ERROR" if message is None else f"ERROR: {_shown(message)}"
        case BrowserEvent(url):
            return f"BROWSER: {_shown(url)}"
        case AttentionEvent(reason):
            return f"ATTENTION: {_shown(reason)}"
        case ClientMessageEvent(keyword, data):
            return f"CLIENT_MESSAGE {_shown(keyword)}: {_shown(json.dumps(data))}"
        case CallerMessageEvent(keyword, data):
            return f"CALLER_MESSAGE {_shown(keyword)}: {_shown(json.dumps(data))}"
        case UnknownLine(text):
            return f"plain text: {_shown(text)}"


def _judged(path: str, workdir: str) -> str:
    try:
        return _shown(locate(path, workdir))
    except DeliverableRejected:
        return f"{_shown(path)} (rejected)"


def _shown(text: str) -> str:
    return display_text(text, _TEXT_LIMIT)


def _lines(log: Path) -> Iterator[tuple[str, bool]]:
    """The log's lines, framed as a session frames them, and whether each had its newline; bounded memory."""
    framer = Framer()
    try:
        with (
            open(0, "rb", buffering=0, closefd=False)
            if str(log) == "-"
            else log.open("rb", buffering=0) as file
        ):
            while chunk := file.read(_CHUNK):
                for frame in framer.feed(chunk):
                    for line in frame.data.split(b"\n")[:-1]:
                        yield line.decode(errors="replace"), True
    except OSError as error:
        raise UsageError(f"cannot read {str(log)!r}: {error.strerror or error}") from None
    if (last := framer.flush()) is not None:
        yield last.data.removesuffix(b"\n").decode(errors="replace"), False
