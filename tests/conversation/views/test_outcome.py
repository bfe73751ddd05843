"""The end of a turn has its usage and its error, for every backend."""

from __future__ import annotations

from typing import Any

import pytest

from optio_agents.conversation.codecs.acp import AcpCodec
from optio_agents.conversation.codecs.base import Codec, TurnFinished
from optio_agents.conversation.codecs.claude import ClaudeCodec
from optio_agents.conversation.codecs.codex import CodexCodec
from optio_agents.conversation.turns.turn_state import RunningTurn
from optio_agents.conversation.values import TurnStatus
from optio_agents.conversation.views.codex import added_usage
from optio_agents.conversation.views.errors import ErrorKind
from optio_agents.conversation.views.outcome import Outcome
from optio_agents.conversation.views.usage import Usage, UsageScope
from tests.support.transcripts import Replay


def codec_for(name: str) -> Codec:
    if name.startswith("claude/"):
        return ClaudeCodec()
    return CodexCodec(cwd="$WORK") if name.startswith("codex/") else AcpCodec(cwd="$WORK")


def outcomes(name: str) -> list[Outcome]:
    signals = Replay(codec_for(name)).play(name).signals
    return [signal.outcome for signal in signals if isinstance(signal, TurnFinished)]


@pytest.mark.parametrize(
    "name", ["claude/multi_turn", "codex/multi_turn", "gemini/multi_turn", "opencode/multi_turn"]
)
def test_each_turn_has_its_own_usage(name: str) -> None:
    found = [outcome.usage for outcome in outcomes(name)]
    assert len(found) > 1
    assert {(usage.scope, usage.input_tokens) for usage in found if usage} == {(UsageScope.TURN, 10)}


def test_the_usage_of_a_codex_turn_is_that_of_all_its_calls() -> None:
    assert {20} <= {outcome.usage.input_tokens for outcome in outcomes("codex/approvals") if outcome.usage}


def test_the_kinds_of_errors_end_their_turns() -> None:
    kinds = [ErrorKind.INVALID_REQUEST, ErrorKind.AUTHENTICATION, ErrorKind.OVERLOAD, ErrorKind.LIMIT]
    assert [outcome.error_kind for outcome in outcomes("claude/errors") if outcome.error_kind] == kinds
    assert [outcome.error_kind for outcome in outcomes("gemini/errors") if outcome.error_kind] == kinds[:2]


def test_a_failed_turn_has_a_kind_and_no_other_one_needs_one() -> None:
    turn = RunningTurn(1, [1])
    assert turn.result(TurnStatus.FAILED).error_kind is ErrorKind.OTHER
    assert turn.result(TurnStatus.COMPLETED).error_kind is None
    usage = Usage(UsageScope.TURN, 1, 2)
    assert turn.result(TurnStatus.FAILED, outcome=Outcome(usage, ErrorKind.LIMIT)).usage == usage


def test_calls_add_up_and_what_is_odd_adds_nothing() -> None:
    def told(last: Any) -> dict[str, Any]:
        return {"method": "thread/tokenUsage/updated", "params": {"tokenUsage": {"last": last}}}

    once = added_usage(None, told({"inputTokens": 10, "outputTokens": 5, "cachedInputTokens": 4}))
    twice = added_usage(once, told({"inputTokens": 1, "outputTokens": 1}))
    assert twice == Usage(UsageScope.TURN, 11, 6, 4)
    assert added_usage(twice, told("x")) == twice
