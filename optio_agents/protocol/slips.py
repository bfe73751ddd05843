"""Slips: lines that match a keyword but were probably meant to say something else.

`near_miss` covers lines that match no keyword. Both serve `optio-agents check` and the hints of a run. The parser
stays strict.
"""

from __future__ import annotations

import re
from typing import Final

from optio_agents.protocol.events import DeliverableEvent, LogEvent, StatusEvent
from optio_agents.protocol.paths import DELIVERABLES_SUBDIR

_PERCENTAGE: Final = re.compile(r"-?\d{1,6}(?:[.,]\d{1,6})?[ \t]*%", re.ASCII)
_TOO_MUCH: Final = re.compile(r"STATUS:[ \t]*(\d{3})%", re.ASCII)
_QUOTES: Final = "\"'`\u201c\u201d"


def slip(line: str, event: LogEvent) -> str | None:
    """Say what is probably wrong with a line that has a meaning.

    Args:
        line: the line as written in the log.
        event: its parsed meaning.

    Returns:
        What is wrong and what to write instead; `None` if the line looks correct.
    """
    match event:
        case StatusEvent(None, message):
            return _percentage_slip(message)
        case StatusEvent(100):
            found = _TOO_MUCH.match(line)
            return f"{found[1]}% is taken as 100%" if found and int(found[1]) > 100 else None
        case DeliverableEvent(path) if path[0] in _QUOTES and path[-1] in _QUOTES and len(path) > 1:
            return (
                f"the quotes are taken as a part of the path; write `DELIVERABLE: {path[1:-1]}` without them"
            )
        case DeliverableEvent(path) if not path.startswith(
            ("/", f"{DELIVERABLES_SUBDIR}/", f"./{DELIVERABLES_SUBDIR}/")
        ):
            return f"only files in ./{DELIVERABLES_SUBDIR}/ can be delivered: copy the file there and write its path"
        case _:
            return None


def _percentage_slip(message: str) -> str | None:
    found = _PERCENTAGE.match(message)
    if found is None:
        return None
    return (
        f"`{found[0]}` is not read as a percentage: write a whole number from 0 to 100, a percent sign, a space, and "
        "then a text"
    )
