"""optio's records of processes, as the database holds them: read only."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

END_STATES = ("done", "failed", "cancelled")
LOOK_SECONDS = 0.5
"""How often a record is read while it is followed: a MongoDB of one server has no events to wait for."""


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """What a list shows of one process.

    Attributes:
        id: optio's process id.
        name: its name for people.
        state: `idle`, `scheduled`, `running`, `done`, ...
        percent: its progress, if it reports one.
        message: the latest message of its progress, or why it failed.
        since: when it came into a state that has a time, in UTC.
        can_resume: it has saved state.
        is_child: another process started it.
    """

    id: str
    name: str
    state: str
    percent: float | None
    message: str
    since: datetime.datetime | None
    can_resume: bool
    is_child: bool

    @classmethod
    def of(cls, row: dict[str, Any]) -> TaskRecord:
        """From a row of the collection."""
        status, progress = row.get("status", {}), row.get("progress", {})
        times = (status.get(name) for name in ("doneAt", "failedAt", "stoppedAt", "runningSince"))
        return cls(
            id=str(row["processId"]),
            name=str(row.get("name", "")),
            state=str(status.get("state", "")),
            percent=progress.get("percent"),
            message=str(status.get("error") or progress.get("message") or ""),
            since=next((_time(each) for each in times if each is not None), None),
            can_resume=bool(row.get("hasSavedState")),
            is_child=row.get("parentId") is not None,
        )


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a process's log; `time` is in UTC."""

    time: datetime.datetime
    level: str
    text: str


class Records:
    """The processes of one prefix.

    Args:
        database: of motor.
        prefix: the worker's.
    """

    def __init__(self, database: Any, prefix: str) -> None:
        self._rows = database[f"{prefix}_processes"]

    async def all(self) -> list[TaskRecord]:
        """All processes, in the order of their ids; children follow their parents."""
        cursor = self._rows.find({}, {"log": 0, "widgetData": 0}).sort(
            [("rootId", 1), ("depth", 1), ("order", 1)]
        )
        return [TaskRecord.of(row) async for row in cursor]

    async def find(self, process_id: str) -> TaskRecord | None:
        """One process; `None` if there is none."""
        row = await self._rows.find_one({"processId": process_id}, {"log": 0, "widgetData": 0})
        return None if row is None else TaskRecord.of(row)

    async def log(self, process_id: str, *, last: int | None = None) -> list[LogLine]:
        """The log of a process, or its `last` lines."""
        projection: dict[str, Any] = {"log": {"$slice": -last} if last else 1}
        row = await self._rows.find_one({"processId": process_id}, projection)
        return [] if row is None else [_line(entry) for entry in row.get("log", [])]

    async def follow(self, process_id: str) -> AsyncIterator[LogLine]:
        """Each line of the log, until the process has ended. A log that begins again is followed from its beginning."""
        import asyncio

        seen = 0
        while True:
            # In this order: a line that is written before the end is in the log that is read after it.
            record = await self.find(process_id)
            lines = await self.log(process_id)
            if len(lines) < seen:
                seen = 0
            for line in lines[seen:]:
                yield line
            seen = len(lines)
            if record is None or record.state in END_STATES or record.state == "idle":
                return
            await asyncio.sleep(LOOK_SECONDS)


def _line(entry: dict[str, Any]) -> LogLine:
    return LogLine(_time(entry["timestamp"]), str(entry.get("level", "")), str(entry.get("message", "")))


def _time(value: Any) -> datetime.datetime:
    """A time of optio: a date of the database, or a text in ISO 8601."""
    return datetime.datetime.fromisoformat(value) if isinstance(value, str) else value
