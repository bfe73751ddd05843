"""Where telemetry is attached to sessions and conversations. Without an instrument nothing is called.

`optio_agents.telemetry` has the one for OpenTelemetry. This module imports nothing of it, so that a session does not
load what it does not use.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol, TypeAlias

from optio_agents.session.callbacks import SessionCallbacks
from optio_agents.session.events import SessionEvent

Phase: TypeAlias = Literal["setup", "run", "drain", "teardown"]


class SessionProbe(Protocol):
    """Follows one session. Its methods are called in the session's thread; they must neither block nor raise."""

    def wrap(self, callbacks: SessionCallbacks) -> SessionCallbacks:
        """The callables that the session calls instead of the caller's."""

    def phase(self, name: Phase) -> None:
        """A phase begins, and with it the one before has ended."""

    def event(self, event: SessionEvent) -> None:
        """Something happened; the last event is `Ended`."""


class Instrument(Protocol):
    """Follows all sessions and conversations of this process."""

    def session(self, process_id: str | None) -> AbstractContextManager[SessionProbe]:
        """The block in which a session runs. `process_id`: optio's."""

    async def conversation(self, conversation: Any) -> None:
        """Follow an `AgentConversation` until it has ended, in a task of its nursery."""


class _Installed:
    instrument: Instrument | None = None


def installed() -> Instrument | None:
    """The instrument of this process."""
    return _Installed.instrument


def install(instrument: Instrument) -> Callable[[], None]:
    """Attach `instrument` to the sessions that begin from now on; returns what detaches it.

    Raises:
        RuntimeError: there is one already.
    """
    if _Installed.instrument is not None:
        raise RuntimeError("an instrument is installed already: detach that one first")
    _Installed.instrument = instrument

    def detach() -> None:
        if _Installed.instrument is instrument:
            _Installed.instrument = None

    return detach
