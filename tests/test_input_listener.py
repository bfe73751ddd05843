"""The listener for typed input, spoken to over HTTP."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from optio_agents.input_listener import serialized, start_input_listener
from optio_agents.tmux_input import TEXT_LIMIT

JSON = {"Content-Type": "application/json"}
Answer = tuple[int, dict[str, Any]]


class Sent:
    """What reached the callbacks."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.texts: list[str] = []
        self.keys: list[str] = []
        self.failure = failure

    async def text(self, text: str) -> None:
        if self.failure is not None:
            raise self.failure
        self.texts.append(text)

    async def key(self, key: str) -> None:
        self.keys.append(key)


def talk(
    sent: Sent,
    *bodies: Any,
    headers: dict[str, str] = JSON,
    keys: bool = True,
    token: str | None = None,
) -> list[Answer]:
    """Post each body (bytes as they are, anything else as JSON) and return the answers."""

    async def main() -> list[Answer]:
        runner, port = await start_input_listener(
            bind_iface="127.0.0.1", on_input=sent.text, on_key=sent.key if keys else None, token=token
        )
        answers = []
        try:
            async with aiohttp.ClientSession() as session:
                for body in bodies:
                    data = body if isinstance(body, bytes) else json.dumps(body).encode()
                    url = f"http://127.0.0.1:{port}/input"
                    async with session.post(url, data=io.BytesIO(data), headers=headers) as response:
                        answers.append((response.status, await response.json()))
        finally:
            await runner.cleanup()
        return answers

    return asyncio.run(main())


def refused(status: int, reason: str) -> Answer:
    return status, {"ok": False, "reason": reason}


OK: Answer = (200, {"ok": True})


def test_texts_and_keys_reach_their_callbacks() -> None:
    sent = Sent()
    assert talk(sent, {"text": "hello\nthere"}, {"key": "Up"}, {"key": None, "text": "x"}) == [OK, OK, OK]
    assert (sent.texts, sent.keys) == (["hello\nthere", "x"], ["Up"])


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b"no json", refused(400, "bad-json")),
        (b"\xff", refused(400, "bad-json")),
        (b"[" * 200_000, refused(400, "bad-json")),
        ([1], refused(400, "bad-json")),
        ("text", refused(400, "bad-json")),
        ({}, refused(400, "bad-text")),
        ({"text": ""}, refused(400, "bad-text")),
        ({"text": 3}, refused(400, "bad-text")),
        ({"text": "a\0"}, refused(400, "bad-text")),
        ({"text": "x" * (TEXT_LIMIT + 1)}, refused(400, "bad-text")),
        ({"text": "x" * (2 * 1024 * 1024)}, refused(400, "bad-text")),
        ({"key": "C-c"}, refused(400, "bad-key")),
        ({"key": ["Up"]}, refused(400, "bad-key")),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_bad_input_is_answered_with_its_reason(body: Any, answer: Answer) -> None:
    sent = Sent()
    assert talk(sent, body, {"text": "next"}) == [answer, OK]
    assert (sent.texts, sent.keys) == (["next"], [])


def test_keys_are_refused_without_a_callback() -> None:
    assert talk(Sent(), {"key": "Up"}, keys=False) == [refused(400, "bad-key")]


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_what_a_page_of_another_site_can_post_is_refused(content_type: str) -> None:
    sent = Sent()
    assert talk(sent, {"text": "x"}, headers={"Content-Type": content_type}) == [refused(415, "bad-type")]
    assert sent.texts == []


@pytest.mark.parametrize("given", [None, "Bearer wrong", "s3cret"])
def test_a_token_must_be_given(given: str | None) -> None:
    headers = JSON if given is None else {**JSON, "Authorization": given}
    sent = Sent()
    assert talk(sent, {"text": "x"}, headers=headers, token="s3cret") == [refused(401, "unauthorized")]
    assert sent.texts == []
    assert talk(sent, {"text": "x"}, headers={**JSON, "Authorization": "Bearer s3cret"}, token="s3cret") == [
        OK
    ]


def test_a_failing_callback_is_answered_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answers = talk(Sent(RuntimeError("no server running")), {"text": "x"}, {"key": "Up"})
    assert answers == [refused(502, "send-failed"), OK]
    assert "no server running" in caplog.text


def test_nothing_is_left_when_it_cannot_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    cleaned: list[bool] = []
    cleanup = aiohttp.web.AppRunner.cleanup

    async def counted(runner: Any) -> None:
        cleaned.append(True)
        await cleanup(runner)

    monkeypatch.setattr(aiohttp.web.AppRunner, "cleanup", counted)
    with pytest.raises(OSError, match=r".+"):
        asyncio.run(start_input_listener(bind_iface="203.0.113.1", on_input=Sent().text))
    assert cleaned


def test_senders_with_one_lock_take_turns() -> None:
    async def main() -> list[str]:
        order: list[str] = []
        lock = asyncio.Lock()

        def sender(name: str) -> Callable[[str], Awaitable[Any]]:
            async def send(text: str) -> str:
                order.append(f"{name} begins")
                await asyncio.sleep(0)
                order.append(f"{name} ends")
                return text

            return serialized(lock, send)

        assert [*await asyncio.gather(sender("a")("x"), sender("b")("y"))] == ["x", "y"]
        return order

    assert asyncio.run(main()) == ["a begins", "a ends", "b begins", "b ends"]
