"""The conversation of a task in optio's dashboard: the listener to which the dashboard's proxy talks.

A widget without a viewer costs a listening socket, and the last events of the conversation in memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from optio_core.models import BasicAuth
from optio_host.host import LocalHost
from pymongo.errors import PyMongoError

from optio_agents.bridge import Boundary
from optio_agents.context import HookContext
from optio_agents.conversation.from_asyncio import AsyncioConversation, trio_block
from optio_agents.conversation.turns.pending_controls import CONTROL_EVENT
from optio_agents.session_controls import filter_controls
from optio_agents.task.outage import outlast_outage
from optio_agents.todos.publisher import Publisher
from optio_agents.uploads import UPLOAD_LIMIT, upload_url_token

CLEAR_SECONDS = 2.0
"""How long the end of a view may wait for the database."""

WIDGET: Final = "conversation"
"""The name of the dashboard's widget (`uiWidget`)."""

Language: TypeAlias = Literal["claudecode", "codex", "opencode", "grok", "cursor", "kimicode", "antigravity"]
"""The languages that the dashboard's widget reads (`protocol` in its data)."""

_LANGUAGES: Final[dict[str, Language]] = {"claude": "claudecode", "codex": "codex"}

_logger = logging.getLogger("optio_agents.task")


@dataclass(frozen=True, kw_only=True)
class WebOptions:
    """How a task's conversation appears in the dashboard.

    Attributes:
        host: the address on which the worker listens. The default is for a dashboard on the same machine; for one that
            runs elsewhere, an address of this machine that it reaches.
        port: the port; 0 takes a free one for each run.
        language: the language of the agent as the dashboard names it. By default that of the agent; an agent of the
            Agent Client Protocol is shown as `cursor`.
        tools: how much is shown of the tools that the agent uses (`toolVerbosity`).
        thinking: whether what the agent thinks is shown (`thinkingVerbosity`).
        controls: the ids of the controls that are shown and can be set (`model`, `reasoning_effort`,
            `permission_mode`); `None`: all that the agent has. `()`: none.
    """

    host: str = "127.0.0.1"
    port: int = 0
    language: Language | None = None
    tools: Literal["silent", "description-only", "verbose"] | None = None
    thinking: Literal["hidden", "visible"] | None = None
    controls: tuple[str, ...] | None = None


@asynccontextmanager
async def shown_in_dashboard(
    conversation: AsyncioConversation,
    hook_context: HookContext,
    agent: str,
    options: WebOptions,
    *,
    uploads: bool = False,
    earlier: Iterable[dict[str, Any]] = (),
) -> AsyncIterator[None]:
    """Serve the conversation to the dashboard while the block runs.

    Args:
        conversation: the conversation.
        hook_context: the session's. Its context is optio-core's; another one that has no widgets is left alone.
        agent: the name of the agent's recipe.
        options: what is shown, and where the listener listens.
        uploads: whether files may be uploaded.
        earlier: what was said before a resume, the oldest event first.

    Raises:
        OSError: the address cannot be used.
    """
    from optio_agents.web.access import USER
    from optio_agents.web.feed import ConversationFeed
    from optio_agents.web.view import WebView, web_view

    ctx = hook_context._ctx
    if not hasattr(ctx, "set_widget_upstream"):
        yield
        return
    host = hook_context._host
    directory = host.workdir if isinstance(host, LocalHost) else None
    feed = ConversationFeed(conversation.in_trio, controls=options.controls, earlier=earlier)

    def opening(boundary: Boundary) -> Any:
        return web_view(feed, directory=directory, host=options.host, port=options.port)

    view: WebView
    async with trio_block(opening) as view:
        data = widget_data(ctx, agent, options, downloads=directory is not None, uploads=uploads)
        auth = BasicAuth(USER, view.access.secret)
        await outlast_outage(partial(ctx.set_widget_upstream, view.url, inner_auth=auth))
        await outlast_outage(partial(_merge_widget_data, ctx, data))
        try:
            async with _controls_shown(conversation, ctx, options):
                yield
        finally:
            await _clear_upstream(ctx)


async def _clear_upstream(ctx: Any) -> None:
    """Take the listener's address out of the record. optio-core does so with the final state if this fails."""
    try:
        async with asyncio.timeout(CLEAR_SECONDS):
            await ctx.clear_widget_upstream()
    except (PyMongoError, TimeoutError) as error:
        _logger.warning("the view of %s could not be taken out of its record: %r", ctx.process_id, error)


@asynccontextmanager
async def _controls_shown(
    conversation: AsyncioConversation, ctx: Any, options: WebOptions
) -> AsyncIterator[None]:
    """Show the agent's controls, and their changes, while the block runs. The agent is not waited for."""
    if options.controls == ():
        yield
        return

    async def write() -> None:
        controls = [control.to_dict() for control in await conversation.list_controls()]
        shown = filter_controls(controls, options.controls)
        if shown:
            await _merge_widget_data(ctx, {"showSessionControls": True, "controls": shown})

    publisher = Publisher(write, "controls of the agent")

    def observe(event: dict[str, Any]) -> None:
        if event.get("type") == CONTROL_EVENT:
            publisher.changed()

    unsubscribe = conversation.on_event(observe)
    publisher.changed()
    try:
        yield
    finally:
        unsubscribe()
        await publisher.stop()


def widget_data(
    ctx: Any, agent: str, options: WebOptions, *, downloads: bool, uploads: bool
) -> dict[str, Any]:
    """What the dashboard has to know of the conversation, as the fields of `widgetData`."""
    data: dict[str, Any] = {"protocol": options.language or _LANGUAGES.get(agent, "cursor")}
    if options.tools is not None:
        data["toolVerbosity"] = options.tools
    if options.thinking is not None:
        data["thinkingVerbosity"] = options.thinking
    if downloads:
        data["fileDownload"] = True
    if uploads:
        url = upload_url_token(ctx._db.name, ctx._prefix, str(ctx._process_oid))
        data |= {"showFileUpload": True, "uploadUrl": url, "maxUploadBytes": UPLOAD_LIMIT}
    return data


async def _merge_widget_data(ctx: Any, data: dict[str, Any]) -> None:
    """Set these fields, and leave others (the checklist) as they are."""
    processes = ctx._db[f"{ctx._prefix}_processes"]
    row = await processes.find_one({"_id": ctx._process_oid}, {"widgetData": 1})
    if row is None or not isinstance(row.get("widgetData"), dict):
        await ctx.set_widget_data(data)
        return
    fields = {f"widgetData.{name}": value for name, value in data.items()}
    await processes.update_one({"_id": ctx._process_oid}, {"$set": fields})
