"""The recipes: what they run when a session is resumed or forked."""

from __future__ import annotations

from optio_agents.conversation.agents import REPLAY_FLAG, claude, codex, gemini, replaying


def test_a_fork_is_a_resumed_session_that_claude_copies() -> None:
    agent = claude()
    assert agent.resumed is not None
    assert agent.forked is not None
    assert agent.forked("s").command == (*agent.resumed("s").command, "--fork-session")


def test_a_replaying_agent_replays_whatever_session_it_takes_up() -> None:
    agent = replaying(claude())
    assert agent.command.count(REPLAY_FLAG) == 1
    assert agent.resumed is not None
    assert agent.forked is not None
    assert agent.resumed("s").command == (*agent.command, "--resume", "s")
    assert agent.forked("s").command == (*agent.command, "--resume", "s", "--fork-session")


def test_the_other_agents_take_up_sessions_by_their_protocol() -> None:
    for agent in (codex(), gemini()):
        assert agent.resumed is not None
        assert agent.forked is not None
        assert agent.resumed("s").command == agent.forked("s").command == agent.command
