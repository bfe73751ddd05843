"""optio's engine, from the start of its run to its shutdown by a signal."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

from optio_core.lifecycle import Optio
from optio_core.models import LaunchOutcome, ResurrectOutcome

from optio_agents.cli.exit_codes import CommandFailure, ExitCode
from optio_agents.cli.worker.running_tasks import RunningTasks
from optio_agents.task.lease import Lease


class WorkerEngine(Optio):  # type: ignore[misc] # optio-core has no types
    """An engine that can refuse launches while the running tasks end.

    `block_launches` is not the way: a block that matches every launch also refuses the children of running tasks.
    """

    is_draining = False

    async def launch(self, process_id: str, resume: bool = False, **options: Any) -> LaunchOutcome:
        """Launch a process, unless the engine drains: then as one that is shutting down."""
        if self.is_draining:
            return LaunchOutcome(ok=False, reason="shutting-down")
        return await super().launch(process_id, resume, **options)

    async def resurrect(self, process_id: str, **options: Any) -> ResurrectOutcome:
        """Resurrect a process, unless the engine drains: then as one that is shutting down."""
        if self.is_draining:
            return ResurrectOutcome(ok=False, reason="shutting-down")
        return await super().resurrect(process_id, **options)


async def run_until_stopped(
    engine: WorkerEngine,
    lease: Lease,
    tasks: RunningTasks,
    *,
    finish: bool,
    drain_seconds: float | None,
) -> None:
    """Run until SIGTERM or SIGINT ends it, or until another worker has the lease.

    Args:
        engine: initialized.
        lease: the worker's.
        tasks: those that the engine runs.
        finish: on the first signal, let the tasks end that have been launched; a second one cancels them.
        drain_seconds: how long that may take; None: any time.

    Raises:
        CommandFailure: the lease is lost.
    """
    first, second = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (second if first.is_set() else first).set()

    running = asyncio.create_task(engine.run(), name="optio worker")
    await asyncio.sleep(0)  # its first step installs handlers of its own: these replace them
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    await _first_of(running, lease.lost.wait(), first.wait())
    if finish and first.is_set() and not lease.lost.is_set():
        engine.is_draining = True
        await _first_of(running, lease.lost.wait(), second.wait(), tasks.until_idle(), seconds=drain_seconds)
    if not running.done():
        tasks.close()
        await engine.shutdown()
    await running
    if lease.lost.is_set():
        raise CommandFailure(ExitCode.IO_ERROR, "another worker has taken the lease: this one has ended")


async def _first_of(
    running: asyncio.Task[None], *events: Coroutine[Any, Any, object], seconds: float | None = None
) -> None:
    """Wait until the engine or one of the events ends, for at most `seconds`."""
    waits = [asyncio.create_task(event) for event in events]
    try:
        await asyncio.wait({running, *waits}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
