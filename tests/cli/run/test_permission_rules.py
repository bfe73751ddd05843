"""Rules for permission requests: what they let through, and what never."""

from __future__ import annotations

from typing import Any

import pytest

from optio_agents.cli.run.permission_rules import PermissionRule, PermissionRules
from optio_agents.conversation import PermissionRequest


def request(tool: str, **given: Any) -> PermissionRequest:
    return PermissionRequest(tool, given, {})


def rules(*, allow: str = "", once: str = "", deny: str = "") -> PermissionRules:
    return PermissionRules(
        *([PermissionRule.parse(text) for text in each.split("|") if text] for each in (allow, once, deny))
    )


@pytest.mark.parametrize(
    ("rule", "asked"),
    [
        ("Read", request("Read", file_path="/etc/passwd")),
        ("*", request("Anything", x=1)),
        ("mcp__*", request("mcp__search__find", q="x")),
        ("Bash(git *)", request("Bash", command="git status")),
        ("shell(ls)", request("shell", command=["ls"])),
        ("Edit(src/*)", request("Edit", file_path="src/a/b.py")),
    ],
)
def test_a_rule_lets_through_what_it_names(rule: str, asked: PermissionRequest) -> None:
    decision = rules(once=rule).decide(asked)
    assert decision is not None
    assert (decision.behavior, decision.scope) == ("allow", "once")


@pytest.mark.parametrize(
    ("rule", "asked"),
    [
        ("Read", request("Write", file_path="x")),
        ("Bash(git *)", request("Bash", command="rm -rf /")),
        ("Bash(git *)", request("Bash", command="git status; rm -rf /")),
        ("Bash(git *)", request("Bash", command="git status\nrm -rf /")),
        ("Bash(git *)", request("Bash", command="git log $(rm -rf /)")),
        ("Bash(git *)", request("Bash", command="git log > /etc/passwd")),
        ("Edit(src/*)", request("Edit", file_path="src/../../etc/passwd")),
        ("Bash(git *)", request("Bash", text="git status")),
        ("read", request("Read", file_path="x")),
    ],
)
def test_everything_else_is_left_open(rule: str, asked: PermissionRequest) -> None:
    assert rules(once=rule).decide(asked) is None


def test_a_denial_beats_a_permission() -> None:
    decision = rules(allow="*", deny="Bash(rm *)").decide(request("Bash", command="rm -rf x; ls"))
    assert decision is not None
    assert decision.behavior == "deny"
    assert decision.message == "the rule Bash(rm *) denies this"


def test_a_permission_for_the_session_needs_a_rule_about_the_whole_tool() -> None:
    both = rules(allow="Read|Bash(git *)")
    general, narrow = (
        both.decide(request("Read", file_path="x")),
        both.decide(request("Bash", command="git log")),
    )
    assert general is not None
    assert narrow is not None
    assert (general.scope, narrow.scope) == ("session", "once")


@pytest.mark.parametrize("text", ["", "(x)", "Bash(", "a b", "Bash)git("])
def test_a_text_that_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a rule"):
        PermissionRule.parse(text)
