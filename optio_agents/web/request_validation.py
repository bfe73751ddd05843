"""The bodies of requests: JSON objects with the fields that a route takes. Values, no I/O."""

from __future__ import annotations

import json
from typing import Any, Final

BODY_LIMIT: Final = 1024 * 1024
"""Bytes of a request's body."""

TEXT_LIMIT: Final = 512 * 1024
"""Characters of a message."""


class BadRequest(Exception):  # noqa: N818 - named for what happened
    """A request that cannot be carried out: the viewer's fault.

    Attributes:
        status: the HTTP status.
        reason: a short token, which the dashboard understands.
    """

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


def read_object(data: bytes) -> dict[str, Any]:
    """The JSON object in `data`; nothing at all is an empty one.

    Raises:
        BadRequest: `bad-json`.
    """
    if not data.strip():
        return {}
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise BadRequest("bad-json") from None
    if not isinstance(value, dict):
        raise BadRequest("bad-json")
    return value


def read_text(body: dict[str, Any], *, empty: bool = False) -> str:
    """The field `text`.

    Raises:
        BadRequest: `bad-text`.
    """
    text = body.get("text")
    if not isinstance(text, str) or len(text) > TEXT_LIMIT or not (text.strip() or empty):
        raise BadRequest("bad-text")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadRequest("bad-text") from None
    return text


def read_string(body: dict[str, Any], name: str, reason: str) -> str:
    """A field that is a text and not empty.

    Raises:
        BadRequest: with `reason`.
    """
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise BadRequest(reason)
    return value
