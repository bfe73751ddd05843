"""The session's records in Python's logging, under `optio_agents.session`, for operators of the worker.

Each record has the fields `process_id` (optio's, or `None`), `session` (a number that is unique in this process) and
`actor`. An agent can cause any number of them, so a session writes at most `LIMIT`.
"""

from __future__ import annotations

import itertools
import logging
from typing import Any

logger = logging.getLogger("optio_agents.session")

LIMIT = 1000
"""Log records of one session."""

_numbers = itertools.count(1)


class SessionLog:
    """Writes the records of one session.

    Args:
        process_id: optio's id of the process, if there is one.
    """

    def __init__(self, process_id: Any) -> None:
        self._process_id = process_id
        self._session = next(_numbers)
        self._written = 0

    def write(
        self, level: int, text: str, *, actor: str | None = None, error: BaseException | None = None
    ) -> None:
        """Log `text`, with the traceback of `error`."""
        if not logger.isEnabledFor(level) or self._written > LIMIT:
            return
        self._written += 1
        if self._written > LIMIT:
            level, text, error = logging.WARNING, f"more than {LIMIT} records; the rest is not logged", None
        fields = {"process_id": self._process_id, "session": self._session, "actor": actor}
        logger.log(level, "%s", text, exc_info=error, extra=fields)
