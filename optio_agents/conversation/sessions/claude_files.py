"""The sessions of Claude Code, from its files: `projects/DIRECTORY/SESSION.jsonl` below its configuration directory.

Measured with 2.1.330: the directory is named after the workdir, with `-` for each character that is no ASCII letter and
no digit. A line of the type `user` or `assistant` has the `message` of a stream event. A prompt is a `user` line
without tool results that is neither a subagent's (`isSidechain`) nor Claude Code's own (`isMeta`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from optio_agents.conversation.codecs.forms import dicts_of, text_of
from optio_agents.conversation.codecs.json_lines import decode_line
from optio_agents.conversation.sessions.values import TITLE_LIMIT, KeptSession, PastTurn, newest_first
from optio_agents.conversation.views.dispatch import views_of_raw
from optio_agents.conversation.views.values import View

HEAD_BYTES = 256 * 1024
"""How much of a file is read for the session's title."""

FILE_LIMIT = 256 * 1024 * 1024
"""The largest file whose history is read, in bytes."""

_SESSION = re.compile(r"[0-9a-zA-Z-]{1,100}")


def project_directory(config: Path, workdir: str) -> Path:
    """Where the sessions of a workdir are. `config` is `~/.claude`, or `CLAUDE_CONFIG_DIR`."""
    return config / "projects" / re.sub(r"[^a-zA-Z0-9]", "-", os.path.realpath(workdir))


def kept_sessions(directory: Path, limit: int) -> tuple[KeptSession, ...]:
    """The sessions in a project's directory that have a prompt, the one that was used last first."""
    files = [(path.stat().st_mtime, path) for path in directory.glob("*.jsonl") if path.is_file()]
    sessions: list[KeptSession] = []
    for updated, path in sorted(files, reverse=True):
        if len(sessions) == limit:
            break
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        prompts = (prompt for line in head.splitlines() if (prompt := _prompt(decode_line(line))))
        if (title := next(prompts, None)) is not None:
            sessions.append(KeptSession(path.stem, title[:TITLE_LIMIT], updated))
    return newest_first(sessions, limit)


def history(directory: Path, session: str) -> tuple[PastTurn, ...]:
    """The turns of a session.

    Raises:
        FileNotFoundError: there is no such session.
        ValueError: it is no session's id, or its file is too large.
    """
    if not _SESSION.fullmatch(session):
        raise ValueError(f"{session!r} is no id of a session")
    path = directory / f"{session}.jsonl"
    if path.stat().st_size > FILE_LIMIT:
        raise ValueError(f"the session {session} has more than {FILE_LIMIT} bytes")
    with path.open("rb") as file:
        return tuple(_turns(decode_line(line) for line in file))


def _turns(records: Iterable[dict[str, Any]]) -> Iterator[PastTurn]:
    prompt, views = "", list[View]()
    for record in records:
        if (said := _prompt(record)) is not None:
            if prompt or views:
                yield PastTurn(prompt, tuple(views))
            prompt, views = said, []
        elif record.get("type") in ("user", "assistant") and not (
            record.get("isMeta") or record.get("isSidechain")
        ):
            views += views_of_raw("claude", record)
    if prompt or views:
        yield PastTurn(prompt, tuple(views))


def _prompt(record: dict[str, Any]) -> str | None:
    """What the user said, if it is a line of the user's."""
    if record.get("type") != "user" or record.get("isSidechain") or record.get("isMeta"):
        return None
    message = record.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return content or None
    blocks = dicts_of(content)
    if any(block.get("type") == "tool_result" for block in blocks):
        return None
    return "\n".join(text for block in blocks if (text := text_of(block.get("text")))) or None
