"""The callables that a session takes: their types, and the value that holds them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from optio_agents.context import HookContext
from optio_agents.session.deliverable import DeliverableFile

BodyCallback: TypeAlias = Callable[[Any, HookContext], Awaitable[Any]]
"""`body(host, hook_ctx)`; `prepare` has the same shape."""

HookCallback: TypeAlias = Callable[[HookContext], Awaitable[Any]]
"""`before_execute(hook_ctx)`, `after_execute(hook_ctx)`."""

DeliverableCallback: TypeAlias = Callable[[HookContext, str, str], Awaitable[str | None]]
"""`on_deliverable(hook_ctx, relative_path, text)`: `None`, blank or `ok` accepts; any other text goes to the agent."""

DeliverableFileCallback: TypeAlias = Callable[[HookContext, DeliverableFile], Awaitable[str | None]]
"""`on_deliverable_file(hook_ctx, file)`: the same for any content."""

CallerMessageCallback: TypeAlias = Callable[[HookContext, str, Any], Awaitable[str | None]]
"""`on_caller_message(hook_ctx, keyword, data)`; a non-blank string that it returns goes to the agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCallbacks:
    """The caller's callables, all for one event loop (Trio or asyncio)."""

    body: BodyCallback
    prepare: BodyCallback | None = None
    before_execute: HookCallback | None = None
    on_deliverable: DeliverableCallback | None = None
    on_deliverable_file: DeliverableFileCallback | None = None
    on_caller_message: CallerMessageCallback | None = None
    after_execute: HookCallback | None = None
    browser_url_rewrite: Callable[[str], str] | None = None
