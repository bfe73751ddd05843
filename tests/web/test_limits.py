"""Viewers that send slowly, do not read, or are too many: they cost the others nothing."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trio
import trio.testing

from optio_agents.web.app import VIEWER_LIMIT
from optio_agents.web.server import WRITE_SECONDS
from tests.conversation.scripted import HANG_GUARD
from tests.web.lab import Client, client

# httpx leaves the generators beneath a stream to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator 'http(x|core)")


async def connect(viewer: Client, head: str, receive_buffer: int | None = None) -> trio.SocketStream:
    """A connection on which a request with these lines has begun."""
    address = urlsplit(viewer.view.url)
    assert address.hostname is not None
    socket = trio.socket.socket()
    if receive_buffer is not None:
        socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, receive_buffer)
    await socket.connect((address.hostname, address.port))
    stream = trio.SocketStream(socket)
    lines = f"{head}\r\nhost: {address.netloc}\r\nauthorization: Bearer {viewer.view.access.secret}\r\n"
    await stream.send_all(lines.encode())
    return stream


async def status(stream: trio.SocketStream) -> int:
    """The status of the answer."""
    head = b""
    while b"\r\n" not in head:
        data = await stream.receive_some()
        assert data
        head += data
    return int(head.split()[1])


async def test_a_body_that_comes_a_byte_at_a_time_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optio_agents.web.app.BODY_SECONDS", 0.2)
    async with client(tmp_path) as viewer:
        async with await connect(viewer, "POST /send HTTP/1.1") as slow:
            await slow.send_all(b"content-type: application/json\r\ncontent-length: 1000\r\n\r\n{")
            assert await status(slow) == 408
        assert (await viewer.post("send", {"text": "say:x"}))[0] == 200


async def test_a_viewer_that_does_not_read_is_disconnected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optio_agents.web.server.WRITE_SECONDS", 0.2)
    async with client(tmp_path) as viewer:
        feed = viewer.view.feed
        async with await connect(viewer, "GET /events HTTP/1.1", 4096) as deaf:
            await deaf.send_all(b"\r\n")
            assert await status(deaf) == 200
            assert feed.viewers == 1
            async with viewer.events() as reading:
                # More than the buffers of the sockets hold.
                for number in range(20):
                    feed.note("x-optio-test", text="x" * 1_000_000, number=number)
                    await reading.until("x-optio-test", number=number)
                with trio.fail_after(HANG_GUARD):
                    while feed.viewers > 1:
                        await trio.testing.wait_all_tasks_blocked(0.01)
                feed.note("x-optio-test", number=20)
                await reading.until("x-optio-test", number=20)


async def test_a_viewer_that_does_not_read_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        with trio.fail_after(HANG_GUARD):
            async with client(tmp_path) as viewer:
                deaf = await stack.enter_async_context(await connect(viewer, "GET /events HTTP/1.1", 4096))
                await deaf.send_all(b"\r\n")
                assert await status(deaf) == 200
                async with viewer.events() as reading:
                    for number in range(20):
                        viewer.view.feed.note("x-optio-test", text="x" * 1_000_000, number=number)
                        await reading.until("x-optio-test", number=number)
                began = trio.current_time()
            # The last events are offered to it for a second.
            assert trio.current_time() - began < WRITE_SECONDS / 2


async def test_of_two_hundred_viewers_those_that_fit_are_served(tmp_path: Path) -> None:
    async with client(tmp_path) as viewer, AsyncExitStack() as stack:
        statuses = []
        for _ in range(200):
            stream = await stack.enter_async_context(await connect(viewer, "GET /events HTTP/1.1"))
            await stream.send_all(b"\r\n")
            statuses.append(await status(stream))
        assert statuses == [200] * VIEWER_LIMIT + [503] * (200 - VIEWER_LIMIT)
        # However many watch, what is asked for is still done.
        assert (await viewer.post("send", {"text": "ask:rm"}))[0] == 200
        with trio.fail_after(HANG_GUARD):
            while not (await viewer.state())["permissions"]:
                await trio.lowlevel.checkpoint()


async def test_the_state_says_what_waits(tmp_path: Path) -> None:
    async with client(tmp_path) as viewer, viewer.events() as events:
        assert await viewer.state() == {
            "agent": "scripted",
            "state": "idle",
            "closed": None,
            "queued": [],
            "permissions": [],
            "questions": [],
        }
        await viewer.post("send", {"text": "ask:rm"})
        await events.until("session/request_permission")
        await viewer.post("send", {"text": "say:later"})
        state = await viewer.state()
        assert (state["state"], state["queued"]) == ("awaiting permission", ["say:later"])
        (request,) = state["permissions"]
        assert (request["tool"], request["input"]) == ("rm", {"command": "rm"})
