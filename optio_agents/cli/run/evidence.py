"""Recording a run while it runs: its events, its log and the agent's output."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import time
from pathlib import Path

from optio_agents.cli.run.output.events import PageServed, RunEnded, RunEvent
from optio_agents.cli.run.output.json_lines import as_dict
from optio_agents.cli.run.output.plain_text import event_line, headline
from optio_agents.cli.run.settings import RunSettings
from optio_agents.cli.runs_directory import EVENTS, LOG, MANIFEST, OUTPUT, new_run, prune, runs_directory

EVENTS_LIMIT = 64 * 1024 * 1024
"""Bytes of `events.jsonl`; what comes later is left out, but for the last event."""

LOG_LIMIT = 64 * 1024 * 1024
"""Bytes of the log that are copied, from its beginning."""


class Evidence:
    """The directory of one run. Errors here never fail the run: on a full disk, the record is incomplete.

    Attributes:
        directory: where it is kept; `None` if it could not be made.
    """

    def __init__(self, settings: RunSettings) -> None:
        self.directory: Path | None = None
        self._store = settings.deliverables
        self._began = time.time()
        self._size = 0
        self._events: io.BufferedWriter | None = None
        self._manifest = {
            "command": list(settings.command),
            "workdir": None if settings.workdir is None else str(settings.workdir),
            "host": None if settings.ssh is None else str(settings.ssh),
            "deliverables": str(settings.deliverables),
            "began": self._began,
        }
        try:
            root = runs_directory()
            prune(root, self._began)
            self.directory = new_run(root, self._began)
            self._events = open(self.directory / EVENTS, "ab")  # noqa: SIM115 - closed by `close`
        except OSError:
            self.directory = None
        self._write_manifest()

    @property
    def id(self) -> str | None:
        """The name of the run."""
        return None if self.directory is None else self.directory.name

    @property
    def output(self) -> Path | None:
        """The file for the agent's own output, unless the user named one."""
        return None if self.directory is None else self.directory / OUTPUT

    def note(self, event: RunEvent) -> None:
        """Record an event, and the line that is shown for it."""
        if isinstance(event, PageServed):
            return  # Its address contains a secret.
        fields = as_dict(event, self._store)
        if fields is None or self._events is None:
            return
        line = headline(event) if isinstance(event, RunEnded) else event_line(event)
        fields |= {"elapsed": round(time.time() - self._began, 3), "line": line}
        data = json.dumps(fields, default=str).encode() + b"\n"
        self._size += len(data)
        if self._size > EVENTS_LIMIT and not isinstance(event, RunEnded):
            return
        try:
            self._events.write(data)
            if isinstance(event, RunEnded):
                self._manifest |= {"result": event.code.name.lower(), "exit_code": int(event.code)}
                self._manifest |= {"reason": event.reason, "elapsed": round(event.elapsed, 3)}
                self._write_manifest()
                self._events.flush()
        except OSError:
            self._events = None

    def keep_log(self, log: Path) -> Path | None:
        """Copy the log of the session; return the path of the copy, `None` if there is none."""
        if self.directory is None:
            return None
        try:
            # The agent may have replaced it by anything.
            descriptor = os.open(log, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb") as source, open(self.directory / LOG, "xb") as target:
                if stat.S_ISREG(os.fstat(descriptor).st_mode):
                    shutil.copyfileobj(_Limited(source, LOG_LIMIT), target)
        except OSError:
            return None
        return self.directory / LOG

    def close(self) -> None:
        """Write what is buffered."""
        if self._events is not None:
            try:
                self._events.close()
            except OSError:
                self._events = None

    def discard(self) -> None:
        """Remove the record: the run could not begin."""
        self.close()
        if self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)
            self.directory = None

    def _write_manifest(self) -> None:
        if self.directory is None:
            return
        try:
            (self.directory / MANIFEST).write_text(json.dumps(self._manifest, indent=1))
        except OSError:
            return


class _Limited:
    """A file of which only the first bytes are read."""

    def __init__(self, file: io.BufferedReader, left: int) -> None:
        self._file = file
        self._left = left

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(min(size, self._left) if size >= 0 else self._left)
        self._left -= len(data)
        return data
