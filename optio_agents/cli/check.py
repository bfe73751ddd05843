"""`optio-agents check`: say what each line of a log means, and which lines were probably meant otherwise."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
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
from optio_agents.protocol.near_miss import near_miss
from optio_agents.protocol.parser import line_parser
from optio_agents.protocol.paths import locate
from optio_agents.protocol.rejections import DeliverableRejected
from optio_agents.protocol.replies import rejected_reply

NEAR_MISS = 1
"""The exit code for a log that holds lines that were probably meant as keywords."""

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
    parser.add_argument("log", type=Path, metavar="LOGFILE", help="the log, usually optio.log")
    add_feature_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print one line for each line that is not blank; return the exit code.

    Raises:
        UsageError: the log cannot be read.
    """
    features = features_of(args)
    parse = line_parser(features)
    workdir = os.path.dirname(os.path.abspath(args.log))
    slips = 0
    ended_at: int | None = None
    terminated = True
    number = 0
    for number, (line, terminated) in enumerate(_lines(args.log), 1):  # noqa: B007 - used after the loop
        if not line.strip():
            continue
        if ended_at is not None:
            print(f"{number:6}  not read: the log ended in line {ended_at}: {_shown(line)}")
            continue
        event = parse(line)
        print(f"{number:6}  {describe(event, workdir)}")
        if isinstance(event, UnknownLine) and (hint := near_miss(line, features)) is not None:
            slips += 1
            print(f"        near miss: {hint.text}")
        if isinstance(event, DoneEvent | ErrorEvent):
            ended_at = number
    if not terminated:
        print(f"{number:6}  has no newline at its end: a running session waits for it")
    if slips:
        print(f"{slips} near {'miss' if slips == 1 else 'misses'}")
    return NEAR_MISS if slips else 0


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
    except DeliverableRejected as rejected:
        return f"{_shown(path)} ({rejected_reply(rejected)})"


def _shown(text: str) -> str:
    return display_text(text, _TEXT_LIMIT)


def _lines(log: Path) -> Iterator[tuple[str, bool]]:
    """The log's lines, framed as a session frames them, and whether each had its newline; bounded memory."""
    framer = Framer()
    try:
        with log.open("rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                for frame in framer.feed(chunk):
                    for line in frame.data.split(b"\n")[:-1]:
                        yield line.decode(errors="replace"), True
    except OSError as error:
        raise UsageError(f"cannot read {str(log)!r}: {error.strerror or error}") from None
    if (last := framer.flush()) is not None:
        yield last.data.removesuffix(b"\n").decode(errors="replace"), False
