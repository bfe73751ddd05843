"""What an agent asks at a terminal: each key, each kind of question. The keyboard is fed by hand."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import nullcontext

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from optio_agents.cli.chat.dialog import DECLINED, NO_INPUT, Dialog
from optio_agents.cli.chat.keyboard import Keyboard
from optio_agents.conversation import (
    AgentQuestion,
    Choice,
    PermissionDecision,
    QuestionAnswer,
    QuestionRequest,
    Scope,
    ToolRequest,
)

ALL: tuple[Scope, ...] = ("once", "session", "always")


class Screen:
    """A dialog on a screen of 80 by 24."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.keyboard = Keyboard(os.open(os.devnull, os.O_RDONLY))
        self.dialog = Dialog(
            self.keyboard, lambda line, style: self.shown.append(line), lambda: (80, 24), nullcontext
        )

    async def ask(self, function: Callable[[], Awaitable[object]], *typed: bytes) -> object:
        """Ask, and type one piece after another whenever the dialog waits."""
        answers: list[object] = []

        async def run() -> None:
            answers.append(await function())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            for data in typed:
                await wait_all_tasks_blocked()
                assert self.keyboard.take(data) == []
        return answers[0]


def tool(scopes: tuple[Scope, ...] = ALL, command: str = "touch a") -> ToolRequest:
    return ToolRequest(
        "Bash", {"command": command}, {}, scopes=scopes, covers=("Bash(touch *)",), asker="subagent x"
    )


@pytest.mark.parametrize(
    ("typed", "decision"),
    [
        ([b"y"], PermissionDecision("allow")),
        ([b"Y\n"], PermissionDecision("allow")),
        ([b"s"], PermissionDecision("allow", scope="session")),
        ([b"a"], PermissionDecision("allow", scope="always")),
        ([b"n"], PermissionDecision("deny")),
        ([b"i"], PermissionDecision("deny", interrupt=True)),
        ([b"m", b"not now\n"], PermissionDecision("deny", message="not now")),
        ([b"why do you", b"yes", b"\n", b"x", b"n"], PermissionDecision("deny")),
        ([b""], PermissionDecision("deny", message=NO_INPUT)),
    ],
    ids=[
        "y",
        "Y",
        "session",
        "always",
        "n",
        "stop",
        "message",
        "only a key that comes alone",
        "the end of the input",
    ],
)
async def test_a_permission_is_one_key(typed: list[bytes], decision: PermissionDecision) -> None:
    screen = Screen()
    assert await screen.ask(lambda: screen.dialog.permission(tool()), *typed) == decision
    assert screen.shown[0] == "· Bash (subagent x)"
    assert "  command: touch a" in screen.shown
    assert "  (a lasting permission covers: Bash(touch *))" in screen.shown


async def test_what_the_agent_does_not_offer_cannot_be_chosen() -> None:
    screen = Screen()
    decision = await screen.ask(lambda: screen.dialog.permission(tool(("once",))), b"a", b"s", b"y")
    assert decision == PermissionDecision("allow")
    assert not any("always" in line for line in screen.shown)


async def test_a_long_input_is_paged_and_cannot_be_allowed_before_its_end() -> None:
    screen = Screen()
    command = "echo " + "a" * 10_000 + "; rm -rf ~"
    asking = screen.ask(lambda: screen.dialog.permission(tool(command=command)), b"y", *[b" "] * 7, b"y")
    assert await asking == PermissionDecision("allow")
    assert command in "".join(screen.shown).replace("· more: space shows it, n denies", "")
    screen = Screen()
    assert await screen.ask(
        lambda: screen.dialog.permission(tool(command=command)), b"n"
    ) == PermissionDecision("deny")
    assert not any("rm -rf" in line for line in screen.shown)


def question(**fields: object) -> QuestionRequest:
    choices = (Choice("Postgres", "a"), Choice("SQLite"))
    kinds = {"choices": choices, **fields}
    return QuestionRequest("questions", "", (AgentQuestion("db", "Which\u200b?", **kinds),), {})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("request_", "typed", "answers"),
    [
        (question(), [b"2\n"], {"db": "SQLite"}),
        (question(), [b"sqlite\n"], {"db": "SQLite"}),
        (question(), [b"something else\n"], {"db": "something else"}),
        (question(), [b"\n", b"1\n"], {"db": "Postgres"}),
        (question(free_text=False), [b"mine\n", b"1\n"], {"db": "Postgres"}),
        (question(multiple=True), [b"1, sqlite\n"], {"db": ("Postgres", "SQLite")}),
        (question(choices=(), required=False), [b"\n"], {}),
        (question(), [b"-\n"], None),
        (question(), [b""], None),
    ],
)
async def test_a_question_is_a_line(
    request_: QuestionRequest, typed: list[bytes], answers: dict[str, object] | None
) -> None:
    screen = Screen()
    answer = await screen.ask(lambda: screen.dialog.question(request_), *typed)
    assert isinstance(answer, QuestionAnswer)
    assert answer.answers == answers
    assert answer.reason == (None if answers is not None else DECLINED)
    assert screen.shown[1] == "Which<U+200B>?"


async def test_a_plan_is_shown_before_it_is_approved() -> None:
    screen = Screen()
    approve = AgentQuestion(
        "approve", "approve the plan?", choices=(Choice("yes"), Choice("no")), free_text=False
    )
    plan = QuestionRequest("plan", "1. drop\n2. the table", (approve,), {})
    answer = await screen.ask(lambda: screen.dialog.question(plan), b"no\n")
    assert answer == QuestionAnswer({"approve": "no"})
    assert screen.shown[:3] == ["· a plan", "  1. drop", "  2. the table"]


async def test_one_thing_is_asked_after_another() -> None:
    screen = Screen()
    decisions: list[PermissionDecision] = []

    async def ask() -> None:
        decisions.append(await screen.dialog.permission(tool()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        nursery.start_soon(ask)
        for key in (b"y", b"n"):
            await wait_all_tasks_blocked()
            screen.keyboard.take(key)
    assert [decision.behavior for decision in decisions] == ["allow", "deny"]


def test_what_is_typed_while_nothing_is_asked_are_lines_for_the_chat() -> None:
    keyboard = Keyboard(os.open(os.devnull, os.O_RDONLY))
    assert keyboard.take(b"one\ntw") == ["one"]
    assert keyboard.take(b"o\n\n") == ["two"]
    assert keyboard.take(b"rest") == []
    assert keyboard.take(b"") == ["rest"]
