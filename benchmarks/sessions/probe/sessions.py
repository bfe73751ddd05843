"""Running one session of whichever package is installed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.sessions.probe.worlds import World


@contextmanager
def task_directory(place: str | None = None) -> Iterator[str]:
    """A directory for one task in `place`, by default where temporary files lie; removed afterwards."""
    path = tempfile.mkdtemp(prefix="optio-bench-", dir=place)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def append_file(source: str, host: Any) -> None:
    """Append a file to the session's log, without its bytes passing through this process's memory."""
    # Not opened for appending, because sendfile refuses O_APPEND.
    with open(source, "rb") as data, open(log_of(host), "r+b", buffering=0) as log:
        log.seek(0, os.SEEK_END)
        size = os.fstat(data.fileno()).st_size
        done = 0
        while done < size:
            done += os.sendfile(log.fileno(), data.fileno(), done, size - done)


def append(host: Any, text: bytes) -> None:
    """Append to the session's log, in one write."""
    log = os.open(log_of(host), os.O_WRONLY | os.O_APPEND)
    try:
        os.write(log, text)
    finally:
        os.close(log)


def log_of(host: Any) -> str:
    """The path of the session's log."""
    return os.path.join(host.workdir, "optio.log")


async def run_session(
    world: World,
    directory: str,
    ctx: Any,
    body: Callable[[Any], Awaitable[None]],
    *,
    features: dict[str, Any] | None = None,
    **callbacks: Any,
) -> Any:
    """Run a session whose body is `body(host)`; raises what the session raises."""
    from optio_agents import get_protocol, run_log_protocol_session

    async def whole_body(host: Any, hook_ctx: Any) -> None:
        await body(host)

    return await run_log_protocol_session(
        world.host(directory),
        ctx,
        body=whole_body,
        protocol=get_protocol(**(features or {})),
        **callbacks,
    )
