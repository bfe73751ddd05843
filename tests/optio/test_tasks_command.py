"""`optio-agents tasks` against a real worker, over a real MongoDB and Redis."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from optio_agents import create_agent_task
from optio_agents.cli.main import main
from optio_agents.cli.tasks import control
from tests.support.servers import Mongo, Redis
from tests.support.worker import Worker, in_worker

pytestmark = pytest.mark.servers

QUICK = create_agent_task(
    "quick",
    "Quick",
    command="echo 'STATUS: 50% half \x1b[31mred' >> optio.log; echo 'DONE: all good' >> optio.log; cat",
)
BROKEN = create_agent_task("broken", "Broken", command="echo 'ERROR: no luck' >> optio.log; cat")
ENDLESS = create_agent_task("endless", "Endless", command="echo 'STATUS: waiting' >> optio.log; cat")


class Tasks:
    """Runs the command as a user would."""

    def __init__(self, database: str, redis: Redis, capsys: pytest.CaptureFixture[str]) -> None:
        self._servers = ["--mongo-url", database, "--prefix", "test"]
        self._redis = ["--redis-url", redis.url]
        self._capsys = capsys

    async def __call__(self, action: str, *arguments: str, redis: bool = True) -> tuple[int, str]:
        """Its exit code, and all that it printed."""
        servers = [*self._servers, *(self._redis if redis else ())]
        code = await asyncio.to_thread(main, ["tasks", action, *arguments, *servers])
        printed = self._capsys.readouterr()
        return code, printed.out + printed.err


@pytest.fixture
def tasks(database: str, redis: Redis, capsys: pytest.CaptureFixture[str]) -> Tasks:
    return Tasks(database, redis, capsys)


@pytest.fixture
def beside_a_worker(database: str, redis: Redis) -> Callable[[Callable[[Worker], Awaitable[None]]], None]:
    def run(scenario: Callable[[Worker], Awaitable[None]]) -> None:
        in_worker(database, [QUICK, BROKEN, ENDLESS], scenario, redis_url=redis.url)

    return run


Beside = Callable[[Callable[[Worker], Awaitable[None]]], None]


def test_a_task_is_launched_watched_and_its_end_is_the_exit_code(
    beside_a_worker: Beside, tasks: Tasks
) -> None:
    async def scenario(worker: Worker) -> None:
        code, printed = await tasks("launch", "quick", "--wait")
        assert (code, printed.splitlines()[-1]) == (0, "quick: done")
        assert "half" in printed
        assert "\x1b" not in printed
        code, printed = await tasks("launch", "broken", "--wait")
        assert (code, printed.splitlines()[-1]) == (1, "broken: failed")

    beside_a_worker(scenario)


def test_a_running_task_is_listed_and_cancelled(beside_a_worker: Beside, tasks: Tasks) -> None:
    async def scenario(worker: Worker) -> None:
        assert (await tasks("launch", "endless"))[0] == 0
        await worker.until_logged("endless", "waiting")
        code, printed = await tasks("list")
        rows = {line.split()[0]: line.split()[1] for line in printed.splitlines()}
        assert (code, rows) == (0, {"quick": "idle", "broken": "idle", "endless": "running"})
        code, printed = await tasks("cancel", "endless", "--wait")
        assert (code, printed.splitlines()[-1]) == (0, "endless: cancelled")
        listed = [json.loads(line) for line in (await tasks("list", "--json"))[1].splitlines()]
        assert {each["id"]: each["state"] for each in listed}["endless"] == "cancelled"

    beside_a_worker(scenario)


def test_logs_are_followed_while_the_task_runs(beside_a_worker: Beside, tasks: Tasks) -> None:
    async def scenario(worker: Worker) -> None:
        await tasks("launch", "endless")
        await worker.until_logged("endless", "waiting")
        code, printed = await tasks("logs", "endless", "--last", "1", "--json")
        assert (code, json.loads(printed)["text"]) == (0, "waiting")
        following = asyncio.create_task(tasks("logs", "endless", "--follow"))
        outcome = await worker.optio.cancel("endless")
        assert outcome.ok
        code, printed = await asyncio.wait_for(following, 60)
        assert code == 0
        assert "waiting" in printed

    beside_a_worker(scenario)


def test_what_the_worker_refuses_is_said_in_words(beside_a_worker: Beside, tasks: Tasks) -> None:
    async def scenario(worker: Worker) -> None:
        assert await tasks("launch", "none") == (1, "optio-agents: none: there is no such task\n")
        assert await tasks("cancel", "quick") == (1, "optio-agents: quick: it is not running\n")
        code, printed = await tasks("logs", "none")
        assert (code, "there is no task 'none'" in printed) == (2, True)
        code, printed = await tasks("launch", "quick", "--params", "[1]")
        assert (code, "must be a JSON object" in printed) == (2, True)
        code, printed = await tasks("launch", "quick", redis=False)
        assert (code, "OPTIO_AGENTS_REDIS_URL" in printed) == (2, True)

    beside_a_worker(scenario)


def test_an_order_that_no_worker_answers_fails_in_time(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "ANSWER_SECONDS", 0.5)
    code, printed = asyncio.run(tasks("launch", "quick"))
    assert (code, "no worker answered" in printed) == (74, True)


def test_servers_that_are_away_are_named_in_one_line(
    capsys: pytest.CaptureFixture[str], mongo: Mongo, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "mongodb://user:secret@127.0.0.1:9/x?serverSelectionTimeoutMS=300"
    assert main(["tasks", "list", "--mongo-url", url]) == 74
    assert (
        main(["tasks", "launch", "a", "--mongo-url", mongo.url, "--redis-url", "redis://:secret@127.0.0.1:9"])
        == 74
    )
    mongo_line, redis_line = capsys.readouterr().err.splitlines()
    assert "MongoDB" in mongo_line
    assert "Redis" in redis_line
    assert "secret" not in mongo_line + redis_line
