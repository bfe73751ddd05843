"""The size limits of the protocol, each with its reason.

An agent may write anything, and its text goes to a database, a terminal or the caller. Therefore each kind of text
has a limit that does not depend on the agent.
"""

from __future__ import annotations

from typing import Final

MESSAGE_LIMIT: Final = 2_000
"""Characters of one progress message. Longer ones make a log page unreadable, and every message is stored
in one MongoDB document of at most 16 MiB."""

JSON_TEXT_LIMIT: Final = 64 * 1024
"""Characters of the JSON after a message keyword: as much as fits into one log line."""

JSON_DEPTH_LIMIT: Final = 64
"""Brackets open at once. MongoDB stores at most 100 levels, and the message's envelope uses some of them.
Python's own decoder raises `RecursionError` at about a thousand."""

JSON_INTEGER_MIN: Final = -(2**63)
JSON_INTEGER_MAX: Final = 2**63 - 1
"""The integers that BSON can store."""

PATH_LIMIT: Final = 4_095
"""Bytes of an absolute path: Linux's PATH_MAX of 4,096 with its final NUL."""

NAME_LIMIT: Final = 255
"""Bytes of one component of a path: NAME_MAX on every usual file system."""

HINT_PREFIX: Final = 256
"""Characters at the beginning of a line that are examined for a near miss."""

URL_LIMIT: Final = 4_000
"""Bytes of a URL that a browser shim passes on. Keyword and URL fit into one `write` of 4,096 bytes, the smallest
buffer that a shell uses, so that the line is appended in one piece."""
