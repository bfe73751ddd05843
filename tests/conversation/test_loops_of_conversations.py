"""Conversations of asyncio programs whose loops are another thread's, move, or are closed. With a real process."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import trio

from optio_agents.conversation import claude
from optio_agents.conversation.from_asyncio import AsyncioConversation, open_asyncio_conversation
from tests.support import public_trio

HANG = 60.0

AGENT = r"""
import json, os, sys
with open("agent.pid", "w") as file: file.write(str(os.getpid()))
def out(**o): print(json.dumps(o), flush=True)
for line in sys.stdin:
    m = json.loads(line)
    if m.get("type") == "control_request":
        out(type="control_response", response={"subtype": "success", "request_id": m["request_id"], "response": {}})
    elif m.get("type") == "user":
        said = {"role": "assistant", "content": [{"type": "text", "text": "hi"}]}
        out(type="system", subtype="init", session_id="s", tools=[], model="m")
        out(type="assistant", message=said, session_id="s")
        out(type="result", subtype="success", is_error=False, result="hi", session_id="s", num_turns=1)
"""


class Talk:
    """A conversation that a task keeps open in one loop."""

    it: AsyncioConversation

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "agent.py").write_text(AGENT)

    async def begin(self) -> None:
        self.opened, self.left = asyncio.Event(), asyncio.Event()
        self.task = asyncio.create_task(self._keep())
        await asyncio.wait_for(self.opened.wait(), HANG)

    async def _keep(self) -> None:
        agent = claude([sys.executable, str(self.folder / "agent.py")])
        async with open_asyncio_conversation(agent, workdir=self.folder) as self.it:
            assert await self.ask() == "hi"
            self.opened.set()
            await self.left.wait()

    async def ask(self) -> str:
        return (await asyncio.wait_for(self.it.ask("hello"), HANG)).text

    async def end(self) -> None:
        self.left.set()
        await asyncio.wait_for(self.task, HANG)

    @property
    def agent_runs(self) -> bool:
        pid = (self.folder / "agent.pid").read_text()
        try:
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except FileNotFoundError:
            return False


def in_thread(function: Any) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join(HANG)


def test_a_conversation_of_another_threads_loop_says_so_and_goes_on(tmp_path: Path) -> None:
    async def program() -> None:
        talk = Talk(tmp_path)
        await talk.begin()

        def elsewhere() -> str:
            with pytest.raises(RuntimeError, match="belongs to another event loop"):
                asyncio.run(talk.ask())
            return asyncio.run_coroutine_threadsafe(talk.ask(), loop).result(HANG)

        loop = asyncio.get_running_loop()
        assert await asyncio.to_thread(elsewhere) == "hi"
        assert await talk.ask() == "hi"
        await talk.end()

    asyncio.run(program())


@pytest.mark.skipif(public_trio.IS_WANTED, reason=public_trio.CANNOT_MOVE)
def test_a_conversation_goes_on_in_the_thread_that_runs_its_loop_now(tmp_path: Path) -> None:
    loop, talk = asyncio.new_event_loop(), Talk(tmp_path)
    in_thread(lambda: loop.run_until_complete(talk.begin()))
    assert loop.run_until_complete(talk.ask()) == "hi"
    loop.run_until_complete(talk.end())
    loop.close()
    assert not talk.agent_runs


def close_under_a_conversation(folder: Path, by: str) -> None:
    loop, talk = asyncio.new_event_loop(), Talk(folder)

    def begin() -> None:
        loop.run_until_complete(talk.begin())

    if by == "another thread":
        in_thread(begin)
    else:
        begin()
    assert talk.agent_runs
    loop.close()
    assert not talk.agent_runs
    trio.run(trio.lowlevel.checkpoint)


@pytest.mark.parametrize("by", ["its own thread", "another thread"])
def test_a_loop_that_is_closed_takes_the_agent_along_and_nothing_is_flooded(
    tmp_path: Path, by: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by == "another thread" and public_trio.IS_WANTED:
        pytest.skip(public_trio.CANNOT_MOVE)
    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    close_under_a_conversation(tmp_path, by)
    gc.collect()
    assert unraisable == []
    said = [record.getMessage() for record in caplog.records]
    assert all(text.startswith("Task was destroyed") for text in said), (
        "asyncio's word on tasks of a closed loop"
    )
    assert len(said) <= 2
