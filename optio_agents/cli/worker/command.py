"""`optio-agents worker`: an optio worker for the tasks of a Python module, on optio-core's own lifecycle."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from optio_agents.cli.exit_codes import CommandFailure, ExitCode
from optio_agents.cli.worker.definitions import checked, find_function
from optio_agents.cli.worker.logs import WorkerLog, configure_logs
from optio_agents.cli.worker.redis_outage import outlast_redis_outages
from optio_agents.cli.worker.servers import (
    DEFAULT_DATABASE,
    mongo_failures,
    open_database,
    parsed_url,
    unreachable,
)
from optio_agents.cli.worker.settings import WorkerSettings, add_arguments, read_settings

if TYPE_CHECKING:
    from optio_core.lifecycle import Optio

    from optio_agents.task.lease import Lease

CONNECT_SECONDS = 5.0
"""How long the database may take to answer at the start."""

OUTAGE_SECONDS = 60.0
"""How long an operation waits later for a database that is away."""

CONSUMER = "optio-agents"
TASK_ROOT, REMOTE_TASK_ROOT = "OPTIO_AGENTS_TASK_ROOT", "OPTIO_AGENTS_REMOTE_TASK_ROOT"
"""What optio-host reads (`optio_host.paths.task_dir`)."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `worker` and its arguments."""
    parser = subparsers.add_parser(
        "worker",
        help="run an optio worker for the tasks that a Python function defines",
        description="Run an optio worker until SIGTERM or SIGINT. FUNCTION(services, metadata_filter) returns the "
        "task definitions, for example made by optio_agents.task.create_agent_task; it may be async. A setting comes "
        "from its option, from the environment variable in brackets, or from the file of --config.",
    )
    parser.add_argument("tasks", metavar="MODULE:FUNCTION", help="where the task definitions come from")
    add_arguments(parser)
    parser.add_argument("--verbose", action="store_true", help="log what the worker does")


def run(args: argparse.Namespace) -> int:
    """Work until a signal ends it; return the exit code.

    Raises:
        CommandFailure: the settings or the tasks cannot be used, a server cannot be reached, or another worker has the
            prefix.
    """
    settings = read_settings(args, os.environ)
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


def _run(tasks: str, settings: WorkerSettings, log: WorkerLog) -> None:
    import asyncio

    # First of all: to import the user's module, and all that a session needs, takes seconds.
    asyncio.run(_check_prefix_is_free(settings))
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

    from optio_agents.task.lease import worker_lease

    try:
        with mongo_failures(settings), open_database(settings, patience=OUTAGE_SECONDS) as database:
            async with worker_lease(database, settings.prefix) as lease:
                await _work_with(lease, name, settings, database, definitions, log)
    except (RedisError, OSError) as error:
        raise unreachable("Redis", settings.redis_url or "", error) from error


def _set_task_roots(settings: WorkerSettings) -> None:
    """Give the tasks of this worker directories of their own: another prefix may have tasks of the same names."""
    database = parsed_url(settings.mongo_url)["database"] or DEFAULT_DATABASE
    own = os.path.join(*(quote(part, safe="") for part in (database, settings.prefix)))
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    if settings.task_root is not None:
        os.environ[TASK_ROOT] = settings.task_root
    os.environ.setdefault(TASK_ROOT, os.path.join(data, CONSUMER, own))
    os.environ.setdefault(REMOTE_TASK_ROOT, f"/tmp/{CONSUMER}/{own}")


async def _work_with(
    lease: Lease,
    name: str,
    settings: WorkerSettings,
    database: Any,
    definitions: Callable[[Any, Any], Awaitable[list[Any]]],
    log: WorkerLog,
) -> None:
    import asyncio

    from optio_core.lifecycle import Optio

    from optio_agents.task.orphans import end_local_orphans_under, end_orphans

    tasks: dict[str, Any] = {}

    async def remembered(services: Any, metadata_filter: Any) -> list[Any]:
        found = await definitions(services, metadata_filter)
        tasks.update({task.process_id: task for task in found})
        return found

    await asyncio.to_thread(end_local_orphans_under, os.environ[TASK_ROOT])
    optio = Optio()
    await optio.init(
        mongo_db=database,
        prefix=settings.prefix,
        redis_url=settings.redis_url,
        get_task_definitions=remembered,
        cancel_grace_seconds=settings.cancel_grace,
        auto_resume_delay_seconds=settings.auto_resume_delay,
    )
    if optio._redis is not None:
        outlast_redis_outages(optio._redis)
    await end_orphans(database, settings.prefix, tasks)
    log.announce(f"optio worker ready: {name}, prefix {settings.prefix}")
    await _until_shut_down(optio, lease)


async def _until_shut_down(optio: Optio, lease: Lease) -> None:
    """Run until a signal ends it, or until another worker has the lease.

    Raises:
        CommandFailure: the lease is lost.
    """
    import asyncio

    running = asyncio.create_task(optio.run(), name="optio worker")
    losing = asyncio.create_task(lease.lost.wait(), name="loss of the lease")
    try:
        await asyncio.wait({running, losing}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            await optio.shutdown()
        await running
    finally:
        losing.cancel()
    if lease.lost.is_set():
        raise CommandFailure(ExitCode.IO_ERROR, "another worker has taken the lease: this one has ended")
