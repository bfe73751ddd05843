"""The sizes at which the protocol says no, each with its reason.

An agent may write anything. What it writes ends up in a database document, on a terminal, or in a caller's
hands, so each kind of text has a bound that does not depend on the agent.
"""

from __future__ import annotations

from typing import Final

MESSAGE_LIMIT: Final = 2_000
"""Characters of one progress message. Longer ones make a log page unreadable, and every message is stored
in one MongoDB document of at most 16 MiB."""

JSON_TEXT_LIMIT: Final = 64 * 1024
"""Characters of the JSON behind a message keyword: what fits into one log line anyway."""

JSON_DEPTH_LIMIT: Final = 64
"""Brackets open at once. MongoDB stores at most 100 levels, of which the message's envelope uses some;
Python's own decoder gives up at about a thousand, with a `RecursionError`."""

JSON_INTEGER_MIN: Final = -(2**63)
JSON_INTEGER_MAX: Final = 2**63 - 1
"""The integers that BSON can hold; a longer one could be read here but not be stored there."""

PATH_LIMIT: Final = 4_095
"""Bytes of an absolute path: Linux's PATH_MAX of 4,096 with its final NUL."""

NAME_LIMIT: Final = 255
"""Bytes of one component of a path: NAME_MAX on every usual file system."""

HINT_PREFIX: Final = 256
"""Characters at the beginning of a line in which a near miss is looked for."""

URL_LIMIT: Final = 4_000
"""Bytes of a URL that a browser shim passes on. With its keyword it fits into one `write` of 4,096 bytes,
which is the smallest buffer that a shell uses, so that the line is appended in one piece."""
