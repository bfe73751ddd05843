"""The servers of a worker: its MongoDB as a client in a block, and their failures in one line without a password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from optio_agents.cli.exit_codes import CommandFailure, ExitCode, UsageError
from optio_agents.cli.worker.settings import WorkerSettings

DEFAULT_DATABASE = "optio"
"""The database, when the URL names none."""


@contextmanager
def open_database(settings: WorkerSettings, *, patience: float) -> Iterator[Any]:
    """The worker's database, through a client that is closed at the end of the block.

    Args:
        settings: the worker's.
        patience: seconds for which an operation waits for a server, unless the URL says.
    """
    from motor.motor_asyncio import AsyncIOMotorClient

    # In seconds, once parsed.
    seconds = parsed_url(settings.mongo_url)["options"].get("serverselectiontimeoutms", patience)
    client: Any = AsyncIOMotorClient(settings.mongo_url, serverSelectionTimeoutMS=int(seconds * 1000))
    with closing(client):
        yield client.get_default_database(default=DEFAULT_DATABASE)


@contextmanager
def mongo_failures(settings: WorkerSettings) -> Iterator[None]:
    """Report a database that cannot be used, or is used by another worker, in one line.

    Raises:
        CommandFailure: in place of the block's exception.
    """
    from pymongo.errors import PyMongoError

    from optio_agents.task.lease import LeaseHeld

    try:
        yield
    except LeaseHeld as error:
        raise UsageError(f"{error} (--prefix)") from error
    except PyMongoError as error:
        raise unreachable("MongoDB", settings.mongo_url, error) from error


def parsed_url(url: str) -> dict[str, Any]:
    """The parts of the database's URL.

    Raises:
        UsageError: it cannot be parsed.
    """
    from pymongo.errors import PyMongoError
    from pymongo.uri_parser import parse_uri

    try:
        return dict(parse_uri(url))
    except (PyMongoError, ValueError) as error:
        reason = _without_password(str(error), url)
        raise UsageError(f"the URL of the database cannot be used: {reason}") from error


def unreachable(server: str, url: str, error: Exception) -> CommandFailure:
    """The failure in one line, without the password that the URL may hold."""
    place = url.rpartition("@")[2].partition("://")[2] if "@" not in url else url.rpartition("@")[2]
    reason = (
        _without_password(str(error), url)
        .split(" (configured")[0]
        .split(", Timeout:")[0]
        .splitlines()[0][:160]
    )
    return CommandFailure(ExitCode.IO_ERROR, f"no server: {server} at {place.partition('?')[0]}: {reason}")


def _without_password(text: str, url: str) -> str:
    secret = url.partition("://")[2].rpartition("@")[0]
    return text.replace(secret, "...") if secret else text
