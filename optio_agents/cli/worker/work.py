"""The work of a worker that has the lease: its engine, its tasks, and what its status says of them."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from optio_agents.cli.worker.engine import WorkerEngine, run_until_stopped
from optio_agents.cli.worker.logs import WorkerLog
from optio_agents.cli.worker.redis_outage import outlast_redis_outages
from optio_agents.cli.worker.running_tasks import RunningTasks
from optio_agents.cli.worker.settings import TASK_ROOT, WorkerSettings
from optio_agents.cli.worker.status import Health
from optio_agents.task.lease import Lease
from optio_agents.task.orphans import end_orphans
from optio_agents.task.retention import remove_old_task_directories


class WorkerRun:
    """Runs optio's engine for the tasks of one function.

    Args:
        name: the function, as `MODULE:FUNCTION`.
        settings: the worker's.
        definitions: the function, checked.
        log: where it says that it is ready.
        health: asks the servers.
    """

    def __init__(
        self,
        name: str,
        settings: WorkerSettings,
        definitions: Callable[[Any, Any], Awaitable[list[Any]]],
        log: WorkerLog,
        health: Health,
    ) -> None:
        self._name = name
        self._settings = settings
        self._definitions = definitions
        self._log = log
        self._health = health
        self._engine = WorkerEngine()
        self._running = RunningTasks(settings.max_tasks)
        self._tasks: dict[str, Any] = {}
        self._since = datetime.now(UTC).isoformat(timespec="seconds")
        self._is_initialized = self._is_ready = False

    async def status(self) -> dict[str, Any]:
        """What `--status` prints."""
        servers = await self._health.check()
        return {
            "pid": os.getpid(),
            "since": self._since,
            "prefix": self._settings.prefix,
            "ready": self._is_ready,
            "draining": self._engine.is_draining,
            "running": self._running.running,
            "waiting": self._running.waiting,
            "limit": self._running.limit,
            **servers,
            "healthy": all(answer in ("ok", None) for answer in servers.values()),
        }

    async def run(self, database: Any, lease: Lease) -> None:
        """Run until a signal ends it, or until another worker has the lease.

        Raises:
            CommandFailure: the lease is lost.
        """
        settings, engine = self._settings, self._engine
        await engine.init(
            mongo_db=database,
            prefix=settings.prefix,
            redis_url=settings.redis_url,
            get_task_definitions=self._counted_definitions,
            cancel_grace_seconds=settings.cancel_grace,
            auto_resume_delay_seconds=settings.auto_resume_delay,
        )
        if engine._redis is not None:
            outlast_redis_outages(engine._redis)
        await end_orphans(database, settings.prefix, self._tasks)
        if settings.keep_tasks is not None:
            await remove_old_task_directories(
                database, settings.prefix, os.environ[TASK_ROOT], keep_seconds=settings.keep_tasks
            )
        self._is_initialized = True
        await run_until_stopped(
            engine,
            lease,
            self._running,
            finish=settings.drain == "finish",
            drain_seconds=settings.drain_timeout,
        )

    async def _counted_definitions(self, services: Any, metadata_filter: Any) -> list[Any]:
        found = await self._definitions(services, metadata_filter)
        self._tasks.update({task.process_id: task for task in found})
        # `run` asks once more, as soon as the engine hears commands.
        if self._is_initialized and not self._is_ready:
            self._is_ready = True
            self._log.announce(f"optio worker ready: {self._name}, prefix {self._settings.prefix}")
        return [self._running.counted(task) for task in found]
