"""Log records during a run: they go to the run's output, because they would disturb the live display."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio

from optio_agents.session.events import ProblemReported


class _Diagnostics(logging.Handler):
    """Turns log records from any thread into problems that are shown."""

    def __init__(self, show: Callable[[ProblemReported], None]) -> None:
        super().__init__(logging.WARNING)
        self._show = show
        self._token = trio.lowlevel.current_trio_token()

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "optio_agents.session":
            return  # a session's problems are events, which are shown already
        text = record.getMessage()
        if record.exc_info and (error := record.exc_info[1]) is not None:
            text += f": {error!r}"
        self._token.run_sync_soon(self._show, ProblemReported(text))


@contextmanager
def shown_diagnostics(show: Callable[[ProblemReported], None]) -> Iterator[None]:
    """While the block runs (in Trio), pass warnings and errors that are logged to `show`, in Trio's thread."""
    handler = _Diagnostics(show)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
