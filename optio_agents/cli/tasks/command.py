"""`optio-agents tasks`: list an optio worker's tasks, launch, cancel and resume them, read their logs."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from optio_agents.cli.exit_codes import CommandFailure, ExitCode, UsageError
from optio_agents.cli.worker.servers import mongo_failures, open_database
from optio_agents.cli.worker.settings import WorkerSettings, add_arguments, read_settings
from optio_agents.protocol.display import display_text

if TYPE_CHECKING:
    from optio_agents.cli.tasks.records import LogLine, Records, TaskRecord

CONNECT_SECONDS = 5.0
"""How long the database may take to answer."""

TEXT_LIMIT = 4_000
"""Characters of one line of a log."""

MESSAGE_LIMIT = 60
"""Characters of a message in the list."""

RESULTS = {"done": ExitCode.DONE, "failed": ExitCode.ERROR, "cancelled": ExitCode.ENDED_EARLY}
"""The exit code of an order that waits for the end."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `tasks`, its actions and their arguments."""
    parser = subparsers.add_parser(
        "tasks",
        help="list, launch, cancel and resume the tasks of a worker, and read their logs",
        description="Look at the tasks of an optio worker, and give it orders, as optio's dashboard does. The worker "
        "is found by its own settings: an option, the environment variable in brackets, or the file of --config.",
        epilog="exit codes with --wait: 0 done, 1 failed, 3 cancelled",
    )
    actions: Any = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, text in (
        ("list", "list all tasks and what they do"),
        ("launch", "launch a task"),
        ("cancel", "cancel a running task"),
        ("resume", "take up a task where its saved state is"),
        ("logs", "print the log of a task"),
    ):
        action = actions.add_parser(name, help=text, description=f"{text.capitalize()}.")
        if name != "list":
            action.add_argument("id", metavar="ID", help="the id of the task")
        if name in ("list", "logs"):
            action.add_argument("--json", action="store_true", help="one JSON object per line")
        if name == "launch":
            action.add_argument(
                "--params", metavar="JSON", help="an object, for a task that takes parameters"
            )
        if name in ("launch", "resume", "cancel"):
            action.add_argument("--wait", action="store_true", help="print the log until the end of the task")
        if name == "logs":
            action.add_argument("-f", "--follow", action="store_true", help="go on until the task ends")
            action.add_argument("--last", type=int, metavar="N", help="the last N lines only")
        add_arguments(action, ("mongo_url", "redis_url", "prefix"))


def run(args: argparse.Namespace) -> int:
    """Do what is asked; return the exit code.

    Raises:
        CommandFailure: a server or the worker cannot be reached, or the worker refuses.
    """
    import asyncio

    settings = read_settings(args, os.environ)
    with mongo_failures(settings):
        return asyncio.run(_run(args, settings))


async def _run(args: argparse.Namespace, settings: WorkerSettings) -> int:
    from optio_agents.cli.tasks.records import Records

    with open_database(settings, patience=CONNECT_SECONDS) as database:
        records = Records(database, settings.prefix)
        if args.action == "list":
            return await _list(records, as_json=args.json)
        if args.action == "logs":
            return await _logs(records, args)
        return await _order(records, args, settings)


async def _list(records: Records, *, as_json: bool) -> int:
    found = await records.all()
    for record in found:
        print(json.dumps(asdict(record), default=str) if as_json else _row(record, _width(found)))
    if not found and not as_json:
        print("no tasks")
    return 0


def _width(records: list[TaskRecord]) -> int:
    return max((len(display_text(record.id)) for record in records), default=0)


def _row(record: TaskRecord, width: int) -> str:
    percent = "" if record.percent is None else f"{record.percent:.0f}%"
    since = "" if record.since is None else f"{record.since:%Y-%m-%d %H:%M:%S}"
    resume = " (can be resumed)" if record.can_resume and record.state != "running" else ""
    message = display_text(record.message, MESSAGE_LIMIT) + resume
    return (
        f"{display_text(record.id):{width}}  {record.state:16} {percent:>4}  {since:19}  {message}".rstrip()
    )


async def _logs(records: Records, args: argparse.Namespace) -> int:
    if await records.find(args.id) is None:
        raise UsageError(f"there is no task {args.id!r}; `optio-agents tasks list` lists them")
    if args.follow:
        async for line in records.follow(args.id):
            _print(line, as_json=args.json)
    else:
        for line in await records.log(args.id, last=args.last):
            _print(line, as_json=args.json)
    return 0


def _print(line: LogLine, *, as_json: bool = False) -> None:
    if as_json:
        print(json.dumps(asdict(line), default=str), flush=True)
    else:
        print(f"{line.time:%H:%M:%S} {line.level:7} {display_text(line.text, TEXT_LIMIT)}", flush=True)


async def _order(records: Records, args: argparse.Namespace, settings: WorkerSettings) -> int:
    from optio_agents.cli.tasks.control import open_control

    params = _params(args.params) if args.action == "launch" else None
    async with open_control(settings) as control:
        orders: dict[str, Callable[[], Awaitable[None]]] = {
            "launch": lambda: control.launch(args.id, params=params),
            "resume": lambda: control.launch(args.id, resume=True),
            "cancel": lambda: control.cancel(args.id),
        }
        await orders[args.action]()
    if not args.wait:
        return 0
    async for line in records.follow(args.id):
        _print(line)
    record = await records.find(args.id)
    state = "gone" if record is None else record.state
    if state not in RESULTS:
        raise CommandFailure(ExitCode.ERROR, f"{args.id} is {state}")
    print(f"{args.id}: {state}")
    return int(ExitCode.DONE if args.action == "cancel" else RESULTS[state])


def _params(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        params = json.loads(text)
    except ValueError as error:
        raise UsageError(f"--params is not JSON: {error}") from None
    if not isinstance(params, dict):
        raise UsageError("--params must be a JSON object")
    return params
