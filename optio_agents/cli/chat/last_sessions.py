"""Which session an agent had last in a directory, for `chat --resume last`."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from optio_agents.cli.exit_codes import UsageError
from optio_agents.cli.state_directory import state_directory

MAX_ENTRIES = 200
"""The oldest entries beyond this number are forgotten."""


def remember_session(agent: str, workdir: str, session: str) -> None:
    """Note that `session` was the last one. What cannot be written is not remembered."""
    path = _path()
    entries = _read(path)
    key = _key(agent, workdir)
    entries.pop(key, None)
    entries[key] = session
    kept = dict(list(entries.items())[-MAX_ENTRIES:])
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = path.with_suffix(f".{os.getpid()}")
        new.touch(mode=0o600)
        new.write_text(json.dumps(kept), encoding="utf-8")
        new.replace(path)


def last_session(agent: str, workdir: str) -> str:
    """The id of the last session of `agent` in `workdir`.

    Raises:
        UsageError: none is known.
    """
    found = _read(_path()).get(_key(agent, workdir))
    if found is None:
        raise UsageError(f"no session of {agent} in {os.path.realpath(workdir)} is known; give its id")
    return found


def _key(agent: str, workdir: str) -> str:
    return f"{agent}:{os.path.realpath(workdir)}"


def _path() -> Path:
    return state_directory() / "chat_sessions.json"


def _read(path: Path) -> dict[str, str]:
    with suppress(OSError, ValueError):
        content = json.loads(path.read_bytes())
        if isinstance(content, dict):
            return {key: value for key, value in content.items() if isinstance(value, str)}
    return {}
