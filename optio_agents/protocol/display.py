"""Make text from an agent harmless for a terminal, a web page and a database.

An agent's line may contain escape sequences that repaint a terminal, BiDi controls that change the visible order,
NULs and lone surrogates that encoders refuse, or 17 MB of text.
"""

from __future__ import annotations

import re

from optio_agents.protocol.limits import MESSAGE_LIMIT

_ELLIPSIS = "…"
_HEADROOM = 4  # how much longer than the limit a text may be before sequences are removed from it

_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]"  # CSI: colours, cursor movement
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*+(?:\x07|\x1b\\|\x9c)"  # OSC, DCS, ...
    r"|\x1b[ -/]*+[0-~]"  # the two-character ones
)
_SPACES = re.compile(r"[\t\n\x0b\x0c\r\x85\u2028\u2029]+")
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # the remaining C0 and C1 controls
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # BiDi controls
    "\ufeff]"  # a byte-order mark
)
_SURROGATES = re.compile("[\ud800-\udfff]")


def display_text(text: str, limit: int = MESSAGE_LIMIT) -> str:
    r"""Make `text` safe to show on one line.

    Escape sequences, control characters, BiDi controls and byte-order marks are removed. A sequence of tabs and
    line ends becomes one space, a lone surrogate U+FFFD. Text of more than `limit` characters is cut to exactly
    that length and ends with a note of its original length. Idempotent. Linear in `limit`.

    Args:
        text: anything.
        limit: characters, at least 32.
    """
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    kept = text[: limit * _HEADROOM]
    if not (kept.isascii() and kept.isprintable()):
        # Removing a sequence can join its neighbours into a new one, but only through an ESC, and the last pass
        # removes every ESC.
        kept = _ESCAPES.sub("", kept)
        kept = _SPACES.sub(" ", kept)
        kept = _INVISIBLE.sub("", kept)
        kept = _SURROGATES.sub("\ufffd", kept)
    if len(kept) <= limit and len(text) <= limit * _HEADROOM:
        return kept
    mark = f"{_ELLIPSIS} (cut, {len(text)} characters)"
    return kept[: limit - len(mark)] + mark
