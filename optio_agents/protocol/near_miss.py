"""Near misses: lines that were probably meant as a keyword but do not match one.

An agent that writes `done` or `**DONE**` waits for a session that will not end. The parser stays strict, because
a lenient one would have to guess. The agent gets a hint instead: what is wrong with the line and how to write it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from optio_agents.protocol.display import display_text
from optio_agents.protocol.events import UnknownLine
from optio_agents.protocol.features import DEFAULT_FEATURES, ProtocolFeatures
from optio_agents.protocol.keywords import Keyword, enabled_keywords
from optio_agents.protocol.limits import HINT_PREFIX
from optio_agents.protocol.parser import parse_log_line

_QUOTE_LIMIT: Final = 80
_HIDDEN_SHOWN: Final = 5
_DECORATION: Final = (
    " \t\v\f\r\x85\xa0*_`~#>|-+=.:;,!\"'()[]{}<\u2022\u2013\u2014\u201c\u201d\u2026\ufeff\u200b"
)
_ALIASES: Final = {
    "DELIVERED": "DELIVERABLE",
    "DELIVERY": "DELIVERABLE",
    "FINISHED": "DONE",
    "COMPLETE": "DONE",
}
"""Words that agents write instead of a keyword. They count in capitals and with a colon only."""

_NAME = re.compile(r"[A-Za-z]+(?:[ _-]MESSAGES?)?", re.IGNORECASE)
_TRAILING_MARKS: Final = frozenset(_DECORATION) | {"\u2705", "\u2714"}


@dataclass(frozen=True, slots=True)
class Hint:
    """The keyword that was probably meant, and a text that tells the agent how to write it."""

    keyword: str
    text: str


def near_miss(line: str, features: ProtocolFeatures = DEFAULT_FEATURES) -> Hint | None:
    """Say which keyword a line without meaning was probably meant to be.

    Args:
        line: any line of a log. A line that matches a keyword is never a near miss.
        features: only enabled keywords are suggested.

    Returns:
        `None` for plain text. Only the first `HINT_PREFIX` characters of the line are examined.
    """
    event = parse_log_line(line, features=features) if len(line) <= HINT_PREFIX else None
    head = line[:HINT_PREFIX]
    if not isinstance(event, UnknownLine | None):
        return None
    # NFKC turns full-width letters and colons into plain ones. Its output for 256 characters is bounded.
    plain = unicodedata.normalize("NFKC", display_text(head, HINT_PREFIX)).lstrip(_DECORATION)
    found = _NAME.match(plain)
    if found is None:
        return None
    written = found.group()
    keyword = _meant(written, features)
    if keyword is None:
        return None
    rest = plain[found.end() :]
    if event is None and head.startswith(keyword.name + ":"):
        return None  # a long line that begins correctly
    if not _looks_meant(keyword, written, rest):
        return None
    return Hint(keyword.name, _advice(keyword, head, _faults(keyword, head, written, rest)))


def _faults(keyword: Keyword, head: str, written: str, rest: str) -> list[str]:
    """The rules that the line breaks, one clause each."""
    before = head[: head.find(written[:1])] if written[:1] in head else head
    faults = []
    hidden = dict.fromkeys(each for each in head if not each.isprintable() and not each.isspace())
    if hidden:
        codes = ", ".join(f"U+{ord(each):04X}" for each in list(hidden)[:_HIDDEN_SHOWN])
        faults.append(f"it contains invisible characters ({codes})")
    if before[:1].isspace():
        faults.append("it is indented")
    if shown := display_text(before.strip(), _QUOTE_LIMIT).strip():
        faults.append(f"`{shown}` is before the keyword")
    if not written.isupper():
        faults.append(f"`{written}` is not in capitals")
    if written.upper() != keyword.name:
        faults.append(f"the keyword is spelled {keyword.name}")
    if not rest.startswith(":"):
        if rest.lstrip(_DECORATION.replace(":", "")).startswith(":"):
            faults.append("there is something between the keyword and the colon")
        elif rest.strip():
            faults.append(
                "there is more after the keyword"
                if keyword.bare
                else "the colon after the keyword is missing"
            )
        elif not keyword.bare:
            faults.append("the colon and the text after the keyword are missing")
    elif f"{written}:" not in head:
        faults.append("its letters or its colon are not the plain ASCII ones")
    elif not faults:
        faults.append(f"what follows the colon is not {keyword.needs}")
    return faults or ["it is not written exactly as shown below"]


def _meant(written: str, features: ProtocolFeatures) -> Keyword | None:
    name = written.upper().replace(" ", "_").replace("-", "_")
    for keyword in enabled_keywords(features):
        if name in (keyword.name, keyword.name + "S") or _ALIASES.get(name) == keyword.name:
            return keyword
    return None


def _looks_meant(keyword: Keyword, written: str, rest: str) -> bool:
    """Distinguish a slip from prose that begins with the same word."""
    if written.upper() in _ALIASES:
        return written.isupper() and rest.startswith(":")
    after = rest.lstrip(_DECORATION.replace(":", ""))
    if after.startswith(":"):
        # `Status: x`, `**DELIVERABLE**: x`, `DELIVERABLE :x`, and text that the keyword's reader refused.
        return True
    if all(character in _TRAILING_MARKS for character in rest):
        # `done.` and `DONE!` are slips. `status` alone is prose, `STATUS` alone is a slip.
        return keyword.bare or written.isupper()
    # `DONE all tests pass`, `DELIVERABLE report.md`.
    return written.isupper() and not rest[:1].isalnum()


def _advice(keyword: Keyword, head: str, faults: list[str]) -> str:
    forms = " or ".join(f"`{form}`" for form in keyword.forms)
    return (
        f"the line `{display_text(head, _QUOTE_LIMIT)}` was taken as plain text: {', and '.join(faults)}. If you meant"
        f" the keyword {keyword.name}, write {forms} at the very beginning of a line, with nothing before it. "
        f"{keyword.name} is followed by {keyword.needs}."
    )
