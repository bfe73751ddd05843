"""`optio-agents worker`: an optio worker for the tasks of a Python module, on optio-core's own lifecycle."""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any
from urllib.parse import quote

from optio_agents.cli.exit_codes import CommandFailure, ExitCode, UsageError
from optio_agents.cli.worker.definitions import check_source, checked, find_function
from optio_agents.cli.worker.logs import WorkerLog, configure_logs
from optio_agents.cli.worker.servers import (
    DEFAULT_DATABASE,
    mongo_failures,
    open_database,
    parsed_url,
    unreachable,
)
from optio_agents.cli.worker.settings import (
    REMOTE_TASK_ROOT,
    TASK_ROOT,
    WorkerSettings,
    add_arguments,
    read_settings,
)

CONNECT_SECONDS = 5.0
"""How long the database may take to answer at the start."""

OUTAGE_SECONDS = 60.0
"""How long an operation waits later for a database that is away."""

CONSUMER = "optio-agents"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `worker` and its arguments."""
    parser = subparsers.add_parser(
        "worker",
        help="run an optio worker for the tasks that a Python function defines",
        description="Run an optio worker until SIGTERM or SIGINT. FUNCTION(services, metadata_filter) returns the "
        "task definitions, for example made by optio_agents.task.create_agent_task; it may be async. A setting comes "
        "from its option, from the environment variable in brackets, or from the file of --config.",
    )
    parser.add_argument(
        "tasks", metavar="MODULE:FUNCTION", nargs="?", help="where the task definitions come from"
    )
    add_arguments(parser)
    parser.add_argument(
        "--status",
        action="store_true",
        help="print the status of the running worker of these settings as JSON, and exit: 0 healthy, 1 not, "
        "74 no worker answers",
    )
    parser.add_argument("--verbose", action="store_true", help="log what the worker does")


def run(args: argparse.Namespace) -> int:
    """Work until a signal ends it; return the exit code.

    Raises:
        CommandFailure: the settings or the tasks cannot be used, a server cannot be reached, or another worker has the
            prefix.
    """
    settings = read_settings(args, os.environ)
    if args.status:
        return _print_status(settings)
    if args.tasks is None:
        raise UsageError("MODULE:FUNCTION is missing: where the task definitions come from")
    log = configure_logs(settings.log_format, settings.log_level, verbose=args.verbose)
    _set_task_roots(settings)
    try:
        _run(args.tasks, settings, log)
    except CommandFailure as failure:
        if not log.is_json:
            raise
        log.announce(failure.message, logging.ERROR)
        return int(failure.code)
    return 0


def _print_status(settings: WorkerSettings) -> int:
    from optio_agents.cli.worker.status import ask, socket_path

    status = ask(socket_path(settings))
    print(json.dumps(status, indent=2))
    return int(ExitCode.DONE if status["healthy"] else ExitCode.ERROR)


def _run(tasks: str, settings: WorkerSettings, log: WorkerLog) -> None:
    import asyncio

    check_source(tasks)
    # Before the import of the user's module and of all that a session needs, which takes seconds.
    asyncio.run(_check_prefix_is_free(settings))
    if settings.telemetry:
        _instrument()
    definitions = checked(tasks, find_function(tasks))
    asyncio.run(_work(tasks, settings, definitions, log))


async def _check_prefix_is_free(settings: WorkerSettings) -> None:
    """Find out quickly whether the database answers and the prefix is free, with an impatient client of its own."""
    from optio_agents.task.lease import check_prefix_is_free

    with mongo_failures(settings), open_database(settings, patience=CONNECT_SECONDS) as database:
        await check_prefix_is_free(database, settings.prefix)


async def _work(
    name: str,
    settings: WorkerSettings,
    definitions: Callable[[Any, Any], Awaitable[list[Any]]],
    log: WorkerLog,
) -> None:
    from redis.exceptions import RedisError

    from optio_agents.cli.worker.status import Health, served_status
    from optio_agents.cli.worker.work import WorkerRun
    from optio_agents.task.lease import worker_lease

    try:
        with mongo_failures(settings), open_database(settings, patience=OUTAGE_SECONDS) as database:
            async with worker_lease(database, settings.prefix) as lease:
                with closing(Health(settings)) as health:
                    work = WorkerRun(name, settings, definitions, log, health)
                    async with served_status(settings, work.status):
                        await work.run(database, lease)
    except (RedisError, OSError) as error:
        raise unreachable("Redis", settings.redis_url or "", error) from error


def _instrument() -> None:
    try:
        from optio_agents.telemetry import instrument_sessions
    except ModuleNotFoundError as error:
        raise UsageError(
            f"telemetry needs the extra otel, and an SDK that exports: pip install 'optio-agents[otel]' "
            f"opentelemetry-distro ({error})"
        ) from error
    instrument_sessions()


def _set_task_roots(settings: WorkerSettings) -> None:
    """Give the tasks of this worker directories of their own: another prefix may have tasks of the same names."""
    database = parsed_url(settings.mongo_url)["database"] or DEFAULT_DATABASE
    own = os.path.join(*(quote(part, safe="") for part in (database, settings.prefix)))
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    if settings.task_root is not None:
        os.environ[TASK_ROOT] = settings.task_root
    os.environ.setdefault(TASK_ROOT, os.path.join(data, CONSUMER, own))
    os.environ.setdefault(REMOTE_TASK_ROOT, f"/tmp/{CONSUMER}/{own}")
