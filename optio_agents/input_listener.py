"""An HTTP listener for what the user types in the dashboard: text and keys for an agent's terminal program.

optio's API forwards `POST /input` to it; the agent package makes its address known with `ctx.set_control_upstream`.
It runs on the asyncio loop of the worker.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from optio_agents.tmux_input import NAV_KEYS, sendable_text

if TYPE_CHECKING:
    from aiohttp import web

_log = logging.getLogger(__name__)

Send: TypeAlias = Callable[[str], Awaitable[Any]]


def serialized(lock: asyncio.Lock, send: Send) -> Send:
    """`send` under `lock`: give all that types into one terminal the same lock, and nothing mixes."""

    async def locked(text: str) -> Any:
        async with lock:
            return await send(text)

    return locked


async def start_input_listener(
    *, bind_iface: str, on_input: Send, on_key: Send | None = None, token: str | None = None
) -> tuple[web.AppRunner, int]:
    """Listen for `POST /input` with a body of type `application/json`.

    `{"text": ...}` calls `on_input`, `{"key": ...}` (one of `NAV_KEYS`) calls `on_key`. The answer is JSON:
    `{"ok": true}`, or `{"ok": false, "reason": ...}` with the reason `bad-json`, `bad-type` (of the content),
    `bad-key`, `bad-text`, `unauthorized`, or `send-failed` when the callback raised, which is logged.

    A page of another site can make a browser post here, but not with this content type unless the listener agreed.

    Args:
        bind_iface: the address to listen on.
        on_input: types a text, see `send_text_to_tmux`.
        on_key: sends a key, see `send_key_to_tmux`; `None`: keys are refused.
        token: when given, a request must have the header `Authorization: Bearer <token>`; let the API send it with
            `ctx.set_control_upstream(url, HeaderAuth(name="Authorization", value=f"Bearer {token}"))`.

    Returns:
        The runner (stop listening with `await runner.cleanup()`) and the port, which the system chose.

    Raises:
        OSError: it cannot listen there; nothing is left behind.
    """
    from aiohttp import web  # not needed by Trio programs

    async def handle(request: web.Request) -> web.Response:
        status, reason = await _take(request, on_input, on_key, token)
        return web.json_response(
            {"ok": True} if not reason else {"ok": False, "reason": reason}, status=status
        )

    app = web.Application()
    app.router.add_post("/input", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, bind_iface, 0)
        await site.start()
        port = runner.addresses[0][1]
    except BaseException:
        await runner.cleanup()
        raise
    return runner, port


async def _take(
    request: web.Request, on_input: Send, on_key: Send | None, token: str | None
) -> tuple[int, str]:
    """Handle one request: the answer's status, and the reason of a refusal."""
    from aiohttp import web

    if token is not None:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            return 401, "unauthorized"
    try:
        body = json.loads(await request.read())
    except web.HTTPRequestEntityTooLarge:
        return 400, "bad-text"
    except (ValueError, RecursionError):
        return 400, "bad-json"
    if not isinstance(body, dict):
        return 400, "bad-json"
    if request.content_type != "application/json":
        return 415, "bad-type"
    key, text = body.get("key"), body.get("text")
    if key is not None:
        if on_key is None or not isinstance(key, str) or key not in NAV_KEYS:
            return 400, "bad-key"
        return await _send(on_key, key)
    try:
        if not isinstance(text, str):
            return 400, "bad-text"
        sendable_text(text)
    except ValueError as refusal:
        _log.warning("an input was refused: %s", refusal)
        return 400, "bad-text"
    return await _send(on_input, text)


async def _send(send: Send, what: str) -> tuple[int, str]:
    try:
        await send(what)
    except Exception:  # noqa: BLE001 - a callback's failure is the request's, not the listener's
        _log.exception("an input could not be passed on to the agent")
        return 502, "send-failed"
    return 200, ""
