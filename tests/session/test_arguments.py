"""Arguments of the wrong type are refused by name, before the host is touched or the caller's code runs."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import optio_host.host
import pytest
import trio

from optio_agents import get_protocol, run_log_protocol_session
from optio_agents.protocol.session import SessionFailed, SessionOptions
from optio_agents.session.arguments import check_coroutine_function
from tests.support.session import MemoryHost, RecordingCtx


async def good(*args: Any) -> None:
    await trio.lowlevel.checkpoint()


def plain(*args: Any) -> None:
    raise AssertionError("it was called")


def said_awaitable(*args: Any) -> trio.Event | Any:
    return good()


class Caller:
    def method(self, *args: Any) -> None:
        raise AssertionError("it was called")

    async def __call__(self, *args: Any) -> None:
        await trio.lowlevel.checkpoint()

    async def good(self, *args: Any) -> None:
        await trio.lowlevel.checkpoint()


class Awaited:
    """Awaiting an instance is the call."""

    def __init__(self, *args: Any) -> None:
        pass

    def __await__(self) -> Generator[Any, Any, None]:
        return good().__await__()


async def taking_turns() -> AsyncGenerator[None, None]:
    await trio.lowlevel.checkpoint()
    yield


@functools.wraps(good)
def decorated(*args: Any) -> Any:
    return good(*args)


CALLED = good()
CALLED.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("body", plain),
        ("body", CALLED),
        ("body", None),
        ("body", Caller().method),
        ("prepare", plain),
        ("before_execute", 7),
        ("on_deliverable", plain),
        ("on_deliverable_file", plain),
        ("on_caller_message", plain),
        ("after_execute", plain),
        ("agent_sender", plain),
        ("agent_sender", print),
        ("agent_sender", [].append),
        ("agent_sender", str),
        ("agent_sender", functools.partial(print, end="")),
        ("agent_sender", functools.partial(Caller().method, 1)),
        ("browser_url_rewrite", good),
        ("protocol", "suppress"),
        ("options", {"strict": True}),
        ("ctx", None),
        ("ctx", object()),
        ("host", "/tmp/task"),
        ("host", Path("/tmp/task")),
        ("host", object()),
        ("host", None),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
async def test_a_wrong_type_is_a_type_error_that_names_the_argument(name: str, value: Any) -> None:
    host, ctx = MemoryHost(), RecordingCtx()
    arguments: dict[str, Any] = {"host": host, "ctx": ctx, "body": good, name: value}
    with pytest.raises(TypeError, match=f"^{name} "):
        await run_log_protocol_session(arguments.pop("host"), arguments.pop("ctx"), **arguments)
    assert host.calls == []
    assert ctx.calls == []


async def test_an_asyncio_host_under_trio_is_refused_before_its_workdir_is_wiped(tmp_path: Path) -> None:
    host = optio_host.host.LocalHost(str(tmp_path))
    mine = Path(host.workdir) / "mine"
    mine.parent.mkdir()
    mine.touch()
    with pytest.raises(TypeError, match="host is optio-host's LocalHost, whose methods are asyncio code"):
        await run_log_protocol_session(host, RecordingCtx(), body=good)
    assert mine.exists()


@pytest.mark.parametrize(
    "body",
    [
        functools.partial(good, 1),
        lambda *args: good(),
        Caller(),
        Caller().good,
        decorated,
        functools.partial(lambda *args: good(), 1),
        Awaited,
    ],
    ids=["partial", "lambda", "object", "method", "decorated", "partial of a lambda", "class"],
)
async def test_whatever_may_return_an_awaitable_is_called(body: Any) -> None:
    with pytest.raises(SessionFailed, match="before DONE"):
        await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=body)


@pytest.mark.parametrize("bad", [{"text_limit": "8"}, {"on_event": good}, {"cancel_grace": None}])
def test_options_of_the_wrong_type_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=f"^{next(iter(bad))} "):
        SessionOptions(**bad)


def test_the_method_of_an_asynchronous_generator_is_a_sender() -> None:
    check_coroutine_function("agent_sender", taking_turns().asend)


@pytest.mark.parametrize("one", ["on_deliverable", "on_deliverable_file"])
async def test_callbacks_that_agree_are_accepted(one: str) -> None:
    async def body(host: MemoryHost, hook_ctx: Any) -> None:
        host.write("DONE")
        await trio.sleep_forever()

    await run_log_protocol_session(
        MemoryHost(),
        RecordingCtx(),
        body=body,
        protocol=get_protocol(caller_messages=True),
        on_caller_message=good,
        on_deliverable=good if one == "on_deliverable" else None,
        on_deliverable_file=good if one == "on_deliverable_file" else None,
    )
