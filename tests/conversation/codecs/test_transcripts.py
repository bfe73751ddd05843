"""Every recorded dialogue with a real backend, played against its codec: one contract, one table of what
was said.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from optio_agents.conversation.codecs.acp import AcpCodec
from optio_agents.conversation.codecs.base import (
    Codec,
    Folded,
    InterruptAcknowledged,
    PermissionAsked,
    Ready,
    RequestWithdrawn,
    TurnBegan,
    TurnFinished,
)
from optio_agents.conversation.codecs.claude import ClaudeCodec
from optio_agents.conversation.codecs.codex import CodexCodec
from optio_agents.conversation.codecs.codex_controls import PARAMETERS
from tests.support.transcripts import TRANSCRIPTS, Replay, load

NAMES = sorted(f"{path.parent.name}/{path.stem}" for path in TRANSCRIPTS.glob("*/*.jsonl"))
RESUMED = "01a20236-c714-7f00-ade5-215b755bffd0"


def codec_for(name: str) -> Codec:
    if name.startswith("claude/"):
        return ClaudeCodec()
    if name.startswith("codex/"):
        return CodexCodec(cwd="$WORK", thread=RESUMED if name == "codex/resume2" else None)
    return AcpCodec(cwd="$WORK")


def play(name: str) -> Replay:
    return Replay(codec_for(name)).play(name)


@pytest.mark.parametrize("name", NAMES)
def test_every_line_is_an_event_unchanged_and_in_order(name: str) -> None:
    replay = play(name)
    assert [event.raw for event in replay.events] == replay.expected


def said(record: dict[str, Any]) -> Any:
    """What a line asks for; `None` where ours says something else on purpose."""
    text = json.dumps(record)
    method = record.get("method", "")
    if method in ("initialize", "session/new") or method.startswith("thread/"):
        return None  # who we are and what we offer
    if (
        "always" in text
        or '"interrupt": true' in text
        or isinstance(record.get("message", {}).get("content"), str)
    ):
        return None  # an answer for good, an interrupting denial, a bare string: we say it otherwise
    if method in ("turn/start", "turn/steer"):
        compared = ("input", *PARAMETERS.values())
        return {key: value for key, value in record["params"].items() if key in compared}
    return record.get("params") or record.get("message") or record.get("request") or record.get("result")


@pytest.mark.parametrize("name", NAMES)
def test_what_the_codec_writes_is_what_the_backend_understood_then(name: str) -> None:
    pairs = play(name).written
    compared = [(said(recorded), said(ours)) for recorded, ours in pairs]
    assert [ours for recorded, ours in compared if recorded is not None] == [
        recorded for recorded, _ in compared if recorded is not None
    ]
    assert any(recorded is not None for recorded, _ in compared) or name == "claude/parallel_tools"


@pytest.mark.parametrize("name", NAMES)
def test_turns_begin_before_they_end_and_end_once(name: str) -> None:
    ended: set[int] = set()
    for signal in play(name).signals:
        if isinstance(signal, TurnFinished):
            assert signal.turn not in ended
            ended.add(signal.turn)
        elif isinstance(signal, TurnBegan):
            assert signal.turn not in ended


@pytest.mark.parametrize("name", NAMES)
def test_cut_anywhere_the_stream_says_the_same(name: str) -> None:
    lines = [json.dumps(record, ensure_ascii=False) for kind, record in load(name) if kind == "out"]
    data = "".join(line + "\n" for line in lines).encode()
    whole = codec_for(name).receive(data)
    for size in (1, 7, 1000):
        if size == 1 and len(data) > 30_000:
            continue
        codec, pieces = codec_for(name), []
        for start in range(0, len(data), size):
            pieces += codec.receive(data[start : start + size])
        assert pieces == whole


TURNS: dict[str, list[tuple[str, str]]] = {
    "claude/multi_turn": [
        ("completed", "first answer"),
        ("completed", "second answer"),
        ("completed", "second answer"),
        ("completed", "fourth"),
    ],
    "claude/interrupt": [
        ("interrupted", "chunk0 chunk1 chunk2 chunk3 chunk4 chunk5 "),
        ("completed", "after interrupt"),
        ("completed", "after idle interrupt"),
        ("interrupted", "calling Bash"),
        ("interrupted", "calling Bash"),
    ],
    "claude/sigint": [("interrupted", "chunk0 chunk1 chunk2 chunk3 ")],
    "claude/controls": [("completed", "one "), ("completed", "two three "), ("completed", "four ")],
    "codex/controls": [("completed", "one "), ("completed", "two "), ("completed", "three ")],
    "gemini/controls": [("completed", "one "), ("completed", "two "), ("completed", "three four ")],
    "opencode/controls": [("completed", "one "), ("completed", "two ")],
    "codex/multi_turn": [("completed", "first answer"), ("completed", "second answer")],
    "codex/interrupt": [
        ("interrupted", "chunk0 chunk1 chunk2 chunk3 chunk4 chunk5 "),
        ("completed", "after interrupt"),
        ("interrupted", ""),
        ("interrupted", ""),
    ],
    "codex/midturn": [("completed", "second turn/start mid-turn"), ("completed", "steered")],
    "codex/resume2": [("completed", "resumed ok")],
    "codex/eof_midturn": [],
    "gemini/multi_turn": [("completed", "first answer"), ("completed", "second answer")],
    "gemini/cancel": [
        ("interrupted", "chunk0 chunk1 chunk2 chunk3 chunk4 chunk5 "),
        ("completed", "after cancel"),
        ("interrupted", ""),
        ("interrupted", ""),
        ("completed", "after tool cancel"),
    ],
    "opencode/multi_turn": [("completed", "first answer"), ("completed", "second answer")],
    "opencode/cancel": [
        ("interrupted", "chunk0 chunk1 chunk2 chunk3 chunk4 chunk5 "),
        ("completed", "after cancel"),
        ("interrupted", ""),
        ("interrupted", ""),
        ("completed", "after tool cancel"),
    ],
    "claude-acp/cancel": [
        ("interrupted", "chunk0 chunk1 chunk2 chunk3 chunk4 chunk5 "),
        ("completed", "after cancel"),
        ("interrupted", "calling Bash"),
        ("interrupted", "calling Bash"),
        ("completed", "after tool cancel"),
    ],
}


@pytest.mark.parametrize("name", TURNS)
def test_how_each_turn_ended_and_with_which_text(name: str) -> None:
    replay = play(name)
    assert replay.finished() == TURNS[name]
    for number, (status, text) in enumerate(TURNS[name], start=1):
        if status == "completed":
            assert replay.text(number).endswith(text)


@pytest.mark.parametrize("name", ["claude/errors", "codex/errors", "gemini/errors", "opencode/errors"])
def test_api_errors_fail_their_turn_and_the_next_one_works(name: str) -> None:
    finished = play(name).of(TurnFinished)
    assert [each.status.value for each in finished[:-1]] == ["failed"] * (len(finished) - 1)
    assert all(each.error for each in finished[:-1])
    assert (finished[-1].status.value, finished[-1].text) == ("completed", "recovered")


@pytest.mark.parametrize(
    ("name", "tools"),
    [
        ("claude/perm", ["Bash", "Write", "Bash", "Bash"]),
        ("codex/approvals", ["commandExecution"] * 3),
        ("codex/file_change", ["fileChange"] * 3),
        ("gemini/permission", ["execute"] * 4),
        ("opencode/permission", ["execute", "execute", "edit", "execute", "execute"]),
        ("claude-acp/permission", ["Bash", "Bash", "mcp__acp__Write", "Bash", "Bash"]),
    ],
)
def test_permission_requests_name_the_tool_its_input_and_their_turn(name: str, tools: list[str]) -> None:
    asked = play(name).of(PermissionAsked)
    assert [each.tool_name for each in asked] == tools
    for each in asked:
        assert each.turn is not None
        assert each.input
        assert each.raw in [event.raw for event in play(name).events]


def test_a_claude_message_that_comes_too_late_for_the_turn_gets_the_next_one_with_all_others() -> None:
    replay = play("claude/midturn_text")
    assert TurnBegan(2, (2, 3)) in replay.signals
    assert [turn for turn, _ in enumerate(replay.finished(), start=1)] == [1, 2]
    assert replay.finished()[1] == ("completed", "third message sent mid-turn")


def test_a_claude_message_that_was_withdrawn_does_not_keep_its_turn_from_ending() -> None:
    assert play("claude/midturn_interrupt_uuid").finished() == [
        ("interrupted", "chunk0 chunk1 chunk2 chunk3 chunk4 "),
        ("completed", "queued B"),
    ]


def test_late_lifecycle_events_belong_to_the_turn_that_they_name() -> None:
    replay = play("claude/midturn_text")
    completed = [
        event.turn
        for event in replay.events
        if event.raw["type"] == "command_lifecycle" and event.raw["state"] == "completed"
    ]
    assert completed == [1, 2, 2]


def test_claude_withdraws_what_an_interrupt_overtook() -> None:
    signals = play("claude/interrupt").signals
    withdrawn = next(each for each in signals if isinstance(each, RequestWithdrawn))
    index = signals.index(withdrawn)
    assert isinstance(signals[index + 1], InterruptAcknowledged)


def test_codex_folds_steering_messages_into_the_running_turn() -> None:
    folded = play("codex/midturn").of(Folded)
    assert [(each.send, each.turn) for each in folded] == [(2, 1), (4, 2)]


@pytest.mark.parametrize("name", [name for name in NAMES if "multi_turn" in name])
def test_the_handshake_ends_in_ready_with_a_name_to_resume(name: str) -> None:
    (ready,) = play(name).of(Ready)
    assert ready.session or name.startswith("claude/")
