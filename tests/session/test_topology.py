"""A session's actors: which there are, and how they are linked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import trio
import trio.testing

import actors
from optio_agents import HookContext, get_protocol, run_log_protocol_session
from optio_agents.hosts.local import LocalHost
from optio_agents.protocol.session import Ending, SessionOptions
from optio_agents.session.resolver import Resolver, resolve
from optio_agents.session.verdict import DoneSeen, Judge
from optio_agents.session.work_queue import WorkQueue
from tests.support.session import RecordingCtx


@pytest.fixture
def host(tmp_path: Path) -> LocalHost:
    return LocalHost(str(tmp_path / "task"))


def write(host: LocalHost, text: str) -> None:
    with Path(host.workdir, "optio.log").open("a") as log:
        log.write(text)


async def test_tailer_parser_resolver_and_fetcher_are_actors_in_the_tree(host: LocalHost) -> None:
    drawn: list[str] = []

    async def body(host: LocalHost, hook_ctx: HookContext) -> None:
        deliverables = Path(host.workdir, "deliverables")
        deliverables.mkdir(parents=True, exist_ok=True)
        (deliverables / "a.txt").write_text("text")
        write(host, "DELIVERABLE: ./deliverables/a.txt\n")
        await trio.sleep_forever()

    async def on_deliverable(hook_ctx: HookContext, path: str, text: str) -> None:
        drawn.extend(name for name, _ in re.findall(r"<actor '(\w+)' (\w+)", actors.tree()))
        write(host, "DONE\n")

    outcome = await run_log_protocol_session(host, RecordingCtx(), body=body, on_deliverable=on_deliverable)
    assert outcome.ending is Ending.DONE
    assert {"tailer", "parser", "resolver", "fetcher", "sender", "body", "watch"} <= set(drawn)


async def test_each_request_to_the_user_has_an_actor_that_calls_its_method(host: LocalHost) -> None:
    async def body(host: LocalHost, hook_ctx: HookContext) -> None:
        write(host, 'ATTENTION: look\nBROWSER: http://localhost/\nCLIENT_MESSAGE: key {"a": 1}\nDONE\n')
        await trio.sleep_forever()

    ctx = RecordingCtx()
    protocol = get_protocol(browser="redirect", client_messages=True)
    await run_log_protocol_session(host, ctx, body=body, protocol=protocol)
    requests = [call for call in ctx.calls if call[0] != "progress"]
    assert requests == [
        ("attention", ("look",)),
        ("browser", ("http://localhost/",)),
        ("client", ("key", {"a": 1})),
    ]


async def test_single_lines_that_crowd_a_queue_wake_the_tailer_which_waits_for_room(
    host: LocalHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is passed to the parser while the tailer sleeps."""
    monkeypatch.setattr("optio_agents.session.work_queue.MEMORY", 200)
    waited: list[int] = []
    taken: list[str] = []

    room = WorkQueue.room

    async def noted(queue: WorkQueue[object]) -> None:
        waited.append(len(queue.spool))
        await room(queue)

    monkeypatch.setattr(WorkQueue, "room", noted)

    async def body(host: LocalHost, hook_ctx: HookContext) -> None:
        for number in range(40):
            write(host, f'CALLER_MESSAGE: word "{number:030}"\n')
            await trio.testing.wait_all_tasks_blocked()
        write(host, "DONE\n")
        await trio.sleep_forever()

    async def on_message(hook_ctx: HookContext, keyword: str, data: object) -> None:
        taken.append(str(data))
        await trio.sleep(0.001)

    outcome = await run_log_protocol_session(
        host,
        RecordingCtx(),
        body=body,
        on_caller_message=on_message,
        protocol=get_protocol(caller_messages=True),
        options=SessionOptions(drain_timeout=300.0),
    )
    assert outcome.ending is Ending.DONE
    assert [int(text) for text in taken] == list(range(40))
    assert waited, "the queue was never full"


async def test_the_resolver_acts_upon_a_fact_before_the_tell_returns() -> None:
    judge = Judge()
    resolver = Resolver(judge)
    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.inline(resolve, resolver), name="resolver")
        ref.try_tell(DoneSeen("ready"))
        assert judge.verdict is not None
        assert resolver.decided.is_set()
