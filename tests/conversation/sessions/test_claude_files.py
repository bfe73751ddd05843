"""Claude Code's own files: odd ones, and those of hostile content."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from optio_agents.conversation import Text, ToolResult, ToolUse
from optio_agents.conversation.sessions import claude_files
from optio_agents.conversation.sessions.claude_files import history, kept_sessions, project_directory


def user(content: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "user", "message": {"role": "user", "content": content}, **fields}


def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"type": "assistant", "message": {"content": [*blocks]}}


def keep(directory: Path, session: str, *lines: dict[str, Any] | str, updated: float = 1000) -> None:
    path = directory / f"{session}.jsonl"
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("".join(f"{text}\n" for text in texts))
    os.utime(path, (updated, updated))


def test_the_directory_is_named_after_the_workdir(tmp_path: Path) -> None:
    (tmp_path / "a_b.c").mkdir()
    name = project_directory(Path("/config"), str(tmp_path / "a_b.c")).name
    assert name.endswith("-a-b-c")
    assert set(name) <= set("-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")


def test_sessions_are_listed_newest_first_with_their_first_prompt(tmp_path: Path) -> None:
    keep(tmp_path, "old", user("first words"), user("later"), updated=1000)
    keep(tmp_path, "new", user("x", isMeta=True), user([{"type": "text", "text": "a" * 900}]), updated=2000)
    keep(tmp_path, "empty", {"type": "queue-operation"}, updated=3000)
    keep(tmp_path, "odd", "no json", "[1]", user(7), user(None), updated=4000)
    assert [(each.session, each.title, each.updated) for each in kept_sessions(tmp_path, 9)] == [
        ("new", "a" * 200, 2000),
        ("old", "first words", 1000),
    ]
    assert [each.session for each in kept_sessions(tmp_path, 1)] == ["new"]
    assert kept_sessions(tmp_path / "none", 9) == ()


def test_the_history_is_one_turn_per_prompt(tmp_path: Path) -> None:
    keep(
        tmp_path,
        "s",
        user("one"),
        assistant({"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": "ls"}}),
        user([{"type": "tool_result", "tool_use_id": "t", "content": "a b"}]),
        user("of a subagent", isSidechain=True),
        {**assistant({"type": "text", "text": "a subagent's"}), "isSidechain": True},
        "broken {",
        assistant({"type": "text", "text": "done"}),
        user([{"type": "text", "text": "two"}]),
    )
    first, second = history(tmp_path, "s")
    assert (first.prompt, first.text) == ("one", "done")
    assert [type(view) for view in first.views] == [ToolUse, ToolResult, Text]
    assert (second.prompt, second.views) == ("two", ())


@pytest.mark.parametrize("session", ["../s", "a/b", "", "a" * 101])
def test_what_is_no_id_reads_no_file(tmp_path: Path, session: str) -> None:
    with pytest.raises(ValueError, match="no id of a session"):
        history(tmp_path, session)


def test_a_session_that_is_too_large_or_not_there_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileNotFoundError):
        history(tmp_path, "none")
    keep(tmp_path, "s", user("one"))
    monkeypatch.setattr(claude_files, "FILE_LIMIT", 3)
    with pytest.raises(ValueError, match="more than 3 bytes"):
        history(tmp_path, "s")
