"""The parts of one session: what the caller gave, and everything that is made for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optio_agents.bridge.boundary import Boundary
from optio_agents.context import HookContext
from optio_agents.hosts.base import SessionHost
from optio_agents.protocol.protocol import Protocol
from optio_agents.session.callbacks import SessionCallbacks
from optio_agents.session.options import SessionOptions
from optio_agents.session.recorder import Recorder


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that the actors of a session share."""

    boundary: Boundary
    host: Any
    """The caller's own host object, which its callables get."""
    session_host: SessionHost
    """The same host, as the actors see it."""
    ctx: Any
    hook_context: HookContext
    hooks: SessionCallbacks
    protocol: Protocol
    keywords: bool
    options: SessionOptions
    recorder: Recorder
