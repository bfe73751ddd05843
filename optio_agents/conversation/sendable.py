"""Checks what can be sent to an agent, in the caller, before anything is written.

Python turns bytes that are no UTF-8 into lone surrogates (`os.fsdecode`). In JSON they become escapes that strict
readers refuse: codex drops the whole line without an answer (measured with 0.169.0).
"""

from __future__ import annotations

import json
from typing import Any


def check_text(what: str, text: object) -> str:
    """Return `text` if it can be sent.

    Args:
        what: What it is, for the message of the exception.
        text: Anything.

    Raises:
        TypeError: it is no string.
        ValueError: it holds a lone surrogate.
    """
    if not isinstance(text, str):
        raise TypeError(f"{what} is a str, not {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{what} has a lone surrogate at {error.start} ({text[error.start]!r}), which no agent can read; "
            "use text.encode(errors='replace').decode()"
        ) from None
    return text


NAME_LIMIT = 200
"""Characters of a message's id."""


def check_name(name: object) -> None:
    """Raise if `name` cannot be the id of a message.

    Raises:
        TypeError: it is no string.
        ValueError: it is empty or too long, or holds a control character or a lone surrogate.
    """
    text = check_text("uuid", name)
    if not text or len(text) > NAME_LIMIT or not text.isprintable():
        raise ValueError(f"uuid has 1 to {NAME_LIMIT} printable characters, not {text!r:.100}")


def check_json(what: str, value: Any) -> None:
    """Raise if `value` cannot be sent as JSON.

    Raises:
        TypeError: something in it cannot be written as JSON.
        ValueError: NaN, an infinity, a circular reference, or a lone surrogate.
    """
    check_text(what, json.dumps(value, allow_nan=False, ensure_ascii=False))
