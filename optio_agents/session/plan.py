"""What one session runs with: the caller's callables and everything that was made for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from optio_agents.bridge.border import Border
from optio_agents.context import HookContext
from optio_agents.hosts.base import SessionHost
from optio_agents.protocol.protocol import Protocol
from optio_agents.session.options import SessionOptions
from optio_agents.session.recorder import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """The caller's own callables, all of one world (Trio or asyncio)."""

    body: Any
    prepare: Any = None
    before_execute: Any = None
    on_deliverable: Any = None
    on_deliverable_file: Any = None
    on_caller_message: Any = None
    after_execute: Any = None
    browser_url_rewrite: Callable[[str], str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that the actors of a session share."""

    border: Border
    host: Any
    """The caller's own host object, which its callables get."""
    session_host: SessionHost
    """The same host, as the actors see it."""
    ctx: Any
    hook_context: HookContext
    hooks: Hooks
    protocol: Protocol
    keywords: bool
    options: SessionOptions
    journal: Journal
