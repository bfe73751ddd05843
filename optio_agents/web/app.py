"""The routes of a listener, as an ASGI application that runs on Trio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from importlib.resources import files
from typing import Any, Final, TypeAlias

import trio
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from optio_agents.conversation import PermissionDecision
from optio_agents.web.access import Access, is_same_origin
from optio_agents.web.downloads import Downloads
from optio_agents.web.feed import ConversationFeed
from optio_agents.web.request_validation import BODY_LIMIT, BadRequest, read_object, read_string, read_text
from optio_agents.web.stream import EventStream

BODY_SECONDS: Final = 20.0
"""A body that has not arrived by then is refused: a viewer that sends a byte a second holds nothing up."""

VIEWER_LIMIT: Final = 64
"""Viewers of one conversation at once."""

_SCRIPT: Final = "text/javascript; charset=utf-8"

_PAGE: Final = {
    "page.css": "text/css; charset=utf-8",
    **dict.fromkeys(("page.js", "backends.js", "cards.js", "talk.js", "todos.js"), _SCRIPT),
}

_SECURITY: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}

Handler: TypeAlias = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


def create_app(feed: ConversationFeed, access: Access, downloads: Downloads | None = None) -> ASGIApp:
    """The application.

    Args:
        feed: the conversation.
        access: who may use it.
        downloads: the files that `GET download` gives; `None`: none.
    """
    routes = Routes(feed, access, downloads)
    return _Guarded(routes.app(), access)


class Routes:
    """The routes of one conversation."""

    def __init__(self, feed: ConversationFeed, access: Access, downloads: Downloads | None) -> None:
        self._feed = feed
        self._access = access
        self._downloads = downloads

    def app(self) -> Starlette:
        """All of them."""
        posts: dict[str, Handler] = {
            "send": lambda body: self._feed.send(read_text(body)),
            "steer": lambda body: self._feed.steer(read_text({"text": "", **body}, empty=True)),
            "interrupt": lambda body: self._feed.interrupt(),
            "permission": self._permission,
            "answer": self._answer,
            "control": self._control,
        }
        routes = [Route(f"/{name}", _post(handler), methods=["POST"]) for name, handler in posts.items()]
        routes += [
            Route("/", self._page),
            Route("/events", self._events),
            Route("/state", self._state),
            Route("/controls", self._controls),
            Route("/download", self._download),
            *(Route(f"/{name}", _static(name)) for name in _PAGE),
        ]
        return Starlette(routes=routes)

    async def _page(self, request: Request) -> Response:
        if "token" in request.query_params:
            # The token moves from the address, which browsers remember, into a cookie.
            answer: Response = RedirectResponse("./", 303)
            answer.set_cookie(self._access.cookie, self._access.secret, httponly=True, samesite="strict")
            return answer
        html = files("optio_agents.web").joinpath("page", "index.html").read_bytes()
        return Response(html, media_type="text/html; charset=utf-8", headers=_SECURITY)

    async def _events(self, request: Request) -> Any:
        after = request.headers.get("last-event-id", "")
        if self._feed.viewers >= VIEWER_LIMIT:
            return JSONResponse({"ok": False, "reason": "too-many-viewers"}, 503)
        return EventStream(self._feed, int(after) if after.isascii() and after.isdigit() else None)

    async def _state(self, request: Request) -> Response:
        return JSONResponse(self._feed.state())

    async def _controls(self, request: Request) -> Response:
        try:
            return JSONResponse({"controls": await self._feed.list_controls()})
        except BadRequest as error:
            return JSONResponse({"ok": False, "reason": error.reason}, error.status)

    async def _permission(self, body: dict[str, Any]) -> dict[str, Any]:
        identity = read_string(body, "request_id", "unknown-request")
        if body.get("behavior") not in ("allow", "deny"):
            raise BadRequest("bad-behavior")
        try:
            decision = PermissionDecision(
                body["behavior"],
                updated_input=body.get("updated_input"),
                message=body.get("message"),
                scope=body.get("scope", "once"),
                interrupt=body.get("interrupt", False),
            )
        except (ValueError, TypeError) as error:
            raise BadRequest(f"bad-decision: {error}") from None
        return await self._feed.decide(identity, decision)

    async def _answer(self, body: dict[str, Any]) -> dict[str, Any]:
        identity = read_string(body, "request_id", "unknown-request")
        answers = body.get("answers")
        if answers is not None and not isinstance(answers, dict):
            raise BadRequest("bad-answers")
        if answers is not None:
            answers = {
                key: tuple(value) if isinstance(value, list) else value for key, value in answers.items()
            }
        return await self._feed.answer(identity, answers)

    async def _control(self, body: dict[str, Any]) -> dict[str, Any]:
        identity = read_string(body, "id", "bad-id")
        value = body.get("value")
        if not isinstance(value, str | bool):
            raise BadRequest("bad-value")
        return await self._feed.set_control(identity, value)

    async def _download(self, request: Request) -> Any:
        if self._downloads is None:
            return JSONResponse({"ok": False, "reason": "no-reader"}, 409)
        try:
            return await self._downloads.respond(request.query_params.get("path", ""))
        except BadRequest as error:
            return JSONResponse({"ok": False, "reason": error.reason}, error.status)


class _Guarded:
    """Lets in only requests that show the secret and come from no foreign page."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        request = Request(scope)
        headers = {name.lower(): value for name, value in request.headers.items()}
        by_address = scope["path"] == "/" and self._access.is_secret(request.query_params.get("token", ""))
        answer: Response | None = None
        if not by_address and not self._access.allows(headers):
            challenge = {"www-authenticate": 'Basic realm="optio"'}
            answer = JSONResponse({"ok": False, "reason": "unauthorized"}, 401, headers=challenge)
        elif scope["method"] != "GET" and not is_same_origin(headers):
            answer = JSONResponse({"ok": False, "reason": "foreign-origin"}, 403)
        await (answer or self._app)(scope, receive, send)


def _post(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                raise BadRequest("bad-content-type", 415)
            return JSONResponse(await handler(read_object(await _body(request))))
        except BadRequest as error:
            return JSONResponse({"ok": False, "reason": error.reason}, error.status)

    return endpoint


async def _body(request: Request) -> bytes:
    """The body, bounded in size and in time.

    Raises:
        BadRequest: `too-large`, `too-slow`, or the viewer has gone.
    """
    data = bytearray()
    with trio.move_on_after(BODY_SECONDS) as scope:
        try:
            async with aclosing(request.stream()) as chunks:
                async for chunk in chunks:
                    data += chunk
                    if len(data) > BODY_LIMIT:
                        raise BadRequest("too-large", 413)
        except ClientDisconnect:
            raise BadRequest("gone") from None
    if scope.cancelled_caught:
        raise BadRequest("too-slow", 408)
    return bytes(data)


def _static(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        content = files("optio_agents.web").joinpath("page", name).read_bytes()
        return Response(content, media_type=_PAGE[name], headers=_SECURITY)

    return endpoint
