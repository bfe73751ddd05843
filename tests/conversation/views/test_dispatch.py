"""Every recorded event is known: it has a decoder, or a reason to be ignored. None of any shape raises."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from optio_agents.conversation.values import Event
from optio_agents.conversation.views.dispatch import BACKENDS, backend_of, views_of, views_of_raw
from optio_agents.conversation.views.errors import AgentError, ErrorKind
from optio_agents.conversation.views.usage import Usage, UsageScope
from optio_agents.conversation.views.values import SessionStarted, Text, ToolResult, ToolUse
from tests.support.transcripts import TRANSCRIPTS, load

NAMES = sorted(f"{path.parent.name}/{path.stem}" for path in TRANSCRIPTS.glob("*/*.jsonl"))
ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    1e400,
    10**400,
    "",
    "x",
    [],
    [None, {}, 3],
    {},
    {"type": "text"},
    [[]],
)


def backend_of_recording(name: str) -> str:
    agent = name.partition("/")[0]
    return agent if agent in BACKENDS else "acp"


def recorded(name: str) -> list[dict[str, Any]]:
    return [line for direction, line in load(name) if direction == "out" and isinstance(line, dict)]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in `value` with each of its keys or positions."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield value, key
        yield from places(inner)


@pytest.mark.parametrize("name", NAMES)
def test_every_recorded_event_has_a_decoder_or_a_reason_to_be_ignored(name: str) -> None:
    table = BACKENDS[backend_of_recording(name)]
    kinds = {kind for raw in recorded(name) for kind, _ in table.parts(raw)}
    assert kinds - table.decoders.keys() - table.ignored.keys() == set()


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_kind_is_both_decoded_and_ignored(backend: str) -> None:
    table = BACKENDS[backend]
    assert not table.decoders.keys() & table.ignored.keys()
    assert all(table.ignored.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_decoder_gives_only_what_it_declares(name: str) -> None:
    table = BACKENDS[backend_of_recording(name)]
    for raw in recorded(name):
        for kind, part in table.parts(raw):
            if kind in table.decoders:
                decoder = table.decoders[kind]
                assert {type(view) for view in decoder.decode(raw, part)} <= set(decoder.gives)


@pytest.mark.parametrize("name", NAMES)
def test_the_backend_of_an_event_is_seen_in_its_shape(name: str) -> None:
    assert {backend_of(raw) for raw in recorded(name)} == {backend_of_recording(name)}


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_dialogue_says_which_session_it_is_and_what_the_agent_writes(name: str) -> None:
    found = [view for raw in recorded(name) for view in views_of(Event(raw))]
    assert any(isinstance(view, SessionStarted) for view in found)
    assert any(isinstance(view, Text) for view in found)
    ends = {view.id for view in found if isinstance(view, ToolResult)}
    assert ends <= {view.id for view in found if isinstance(view, ToolUse)}


@pytest.mark.parametrize("name", NAMES)
def test_an_event_of_any_shape_gives_views_or_none_and_never_raises(name: str) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for raw in recorded(name):
        for _ in range(4):
            odd = copy.deepcopy(raw)
            container, key = rng.choice(list(places(odd)))
            container[key] = rng.choice(ODD)
            json.dumps([repr(view) for view in views_of(Event(odd))])
        for value in ODD:
            views_of_raw(
                backend_of_recording(name), dict.fromkeys(raw, value) | {"method": raw.get("method")}
            )


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("claude/errors", ["INVALID_REQUEST", "AUTHENTICATION", "OVERLOAD", "LIMIT"]),
        ("codex/errors", ["INVALID_REQUEST", "AUTHENTICATION", "LIMIT", "OVERLOAD"]),
        ("gemini/errors", ["INVALID_REQUEST", "AUTHENTICATION"]),
    ],
)
def test_errors_of_the_models_service_have_kinds_and_are_told_once(name: str, kinds: list[str]) -> None:
    errors = [view for raw in recorded(name) for view in views_of(Event(raw)) if isinstance(view, AgentError)]
    assert [error.kind for error in errors if not error.will_retry] == [ErrorKind[kind] for kind in kinds]


def test_an_interrupted_turn_is_no_error() -> None:
    for name in ("claude/interrupt", "codex/interrupt", "gemini/cancel", "opencode/cancel"):
        found = [view for raw in recorded(name) if "error" not in raw for view in views_of(Event(raw))]
        assert not [view for view in found if isinstance(view, AgentError)], name


@pytest.mark.parametrize("name", ["claude/multi_turn", "gemini/multi_turn", "opencode/multi_turn"])
def test_the_usage_of_a_turn(name: str) -> None:
    found = [view for raw in recorded(name) for view in views_of(Event(raw)) if isinstance(view, Usage)]
    turns = [usage for usage in found if usage.scope is UsageScope.TURN]
    assert turns
    assert {usage.input_tokens for usage in turns} == {10}


def test_our_own_events_and_unknown_ones_give_no_view() -> None:
    for raw in (
        {"type": "x-optio-closed"},
        {"type": "new"},
        {"method": "new"},
        {"jsonrpc": "2.0", "method": "n"},
        {},
    ):
        assert views_of(Event(raw)) == ()
