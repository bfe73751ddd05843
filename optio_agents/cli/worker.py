"""`optio-agents worker`: an optio worker for the tasks of a Python module, on optio-core's own lifecycle."""

from __future__ import annotations

import argparse
import importlib
import inspect
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from optio_agents.cli.exit_codes import UsageError

DEFAULT_DATABASE = "optio"
"""The database, when the URL names none."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `worker` and its arguments."""
    parser = subparsers.add_parser(
        "worker",
        help="run an optio worker for the tasks that a Python function defines",
        description="Run an optio worker until SIGTERM or SIGINT. FUNCTION(services, metadata_filter) returns the "
        "task definitions, for example made by optio_agents.task.create_agent_task; it may be async.",
    )
    parser.add_argument("tasks", metavar="MODULE:FUNCTION", help="where the task definitions come from")
    parser.add_argument("--mongo-url", required=True, metavar="URL", help="mongodb://host:port[/database]")
    parser.add_argument("--prefix", default="optio", help="namespace in the database (%(default)s)")
    parser.add_argument("--redis-url", metavar="URL", help="redis://host:port, for control from outside")
    parser.add_argument(
        "--cancel-grace",
        type=float,
        default=5.0,
        metavar="SECONDS",
        help="how long a cancelled task may take to end (%(default)s)",
    )
    parser.add_argument("--verbose", action="store_true", help="log what the worker does")


def run(args: argparse.Namespace) -> int:
    """Work until a signal ends it; return the exit code.

    Raises:
        UsageError: there is no such function, or no server.
    """
    import asyncio

    logging.basicConfig(
        level=logging.INFO if args.verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    get_tasks = _find(args.tasks)
    try:
        asyncio.run(_work(args, get_tasks))
    except _server_errors() as error:
        raise UsageError(f"no server: {error}") from error
    return 0


async def _work(args: argparse.Namespace, get_tasks: Callable[..., Any]) -> None:
    from motor.motor_asyncio import AsyncIOMotorClient
    from optio_core.lifecycle import Optio

    async def definitions(services: Any, metadata_filter: Any) -> Any:
        answer = get_tasks(services, metadata_filter)
        return await answer if inspect.isawaitable(answer) else answer

    client: Any = AsyncIOMotorClient(args.mongo_url)
    try:
        optio = Optio()
        await optio.init(
            mongo_db=client.get_default_database(default=DEFAULT_DATABASE),
            prefix=args.prefix,
            redis_url=args.redis_url,
            get_task_definitions=definitions,
            cancel_grace_seconds=args.cancel_grace,
        )
        print(f"optio worker ready: {args.tasks}, prefix {args.prefix}", file=sys.stderr, flush=True)
        await optio.run()
    finally:
        client.close()


def _find(name: str) -> Callable[..., Any]:
    """Import `MODULE:FUNCTION`; the current directory counts, as for `python -m`."""
    module, colon, function = name.partition(":")
    if not colon or not module or not function:
        raise UsageError(f"{name!r} is not of the form MODULE:FUNCTION")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        if error.name is not None and (module == error.name or module.startswith(f"{error.name}.")):
            raise UsageError(f"there is no module {module!r}") from error
        raise
    except AttributeError as error:
        raise UsageError(f"module {module!r} has no {function!r}") from error
    if not callable(found):
        raise UsageError(f"{name} is not a function")
    return found  # type: ignore[no-any-return]


def _server_errors() -> tuple[type[Exception], ...]:
    from pymongo.errors import PyMongoError
    from redis.exceptions import RedisError

    return (PyMongoError, RedisError, OSError)
