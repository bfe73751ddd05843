"""An agent's requests and questions at a terminal: shown completely, answered by a key or a line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import trio

from optio_agents.cli.chat.keyboard import Keyboard
from optio_agents.cli.chat.visible import input_lines, pages, visible_line, visible_lines
from optio_agents.conversation import (
    AgentQuestion,
    PermissionDecision,
    PermissionRequest,
    QuestionAnswer,
    QuestionRequest,
    Scope,
    ToolRequest,
)

Q = TypeVar("Q")
A = TypeVar("A")

NO_INPUT = "No answer is possible: the input of the chat has ended."
DECLINED = "The user declines to answer."


class Dialog:
    """Shows one request after another.

    Args:
        keyboard: where the answers come from.
        show: writes a line on the screen, in a style.
        size: columns and rows of the screen.
        alone: entered while a request is on the screen: other output waits, and the keyboard gets the input.
    """

    def __init__(
        self,
        keyboard: Keyboard,
        show: Callable[[str, str], object],
        size: Callable[[], tuple[int, int]],
        alone: Callable[[], AbstractAsyncContextManager[object]],
    ) -> None:
        self._keyboard = keyboard
        self._show = show
        self._size = size
        self._alone_on_screen = alone
        self._turn = trio.Lock()

    async def permission(self, request: PermissionRequest) -> PermissionDecision:
        """The permission handler."""
        return await self._alone(self._permission, request)

    async def question(self, request: QuestionRequest) -> QuestionAnswer:
        """The question handler."""
        return await self._alone(self._question, request)

    async def _alone(self, ask: Callable[[Q], Awaitable[A]], request: Q) -> A:
        async with self._turn, self._alone_on_screen():
            return await ask(request)

    # Permissions.

    async def _permission(self, request: PermissionRequest) -> PermissionDecision:
        detail = request if isinstance(request, ToolRequest) else None
        asker = f" ({visible_line(detail.asker)})" if detail is not None and detail.asker else ""
        scopes: tuple[Scope, ...] = ("once",) if detail is None else detail.scopes
        self._show(f"· {visible_line(request.tool_name)}{asker}", "bold")
        lines = input_lines(request.input)
        if detail is not None and detail.covers and len(scopes) > 1:
            lines.append(f"  (a lasting permission covers: {', '.join(map(visible_line, detail.covers))})")
        if not await self._show_pages(lines):
            return PermissionDecision("deny")
        offers, keys = ["allow? y/n"], "ynmi"
        for scope, key, words in (("session", "s", "s: for the session"), ("always", "a", "a: always")):
            if scope in scopes:
                offers.append(words)
                keys += key
        answer = await self._key(keys, ", ".join([*offers, "m: no, with a message", "i: no, and stop"]))
        if answer is None:
            return PermissionDecision("deny", message=NO_INPUT)
        decision = await self._decision(answer)
        self._show(f"· {decision.behavior}{_scope_text(decision)}", "dim")
        return decision

    async def _key(self, keys: str, prompt: str) -> str | None:
        return await self._keyboard.key(keys, lambda: self._show(f"· {prompt}", "bold"))

    async def _line(self, prompt: str, *, secret: bool = False) -> str | None:
        return await self._keyboard.line(lambda: self._show(f"· {prompt}", "bold"), secret=secret)

    async def _decision(self, key: str) -> PermissionDecision:
        scopes: dict[str, Scope] = {"y": "once", "s": "session", "a": "always"}
        if key in scopes:
            return PermissionDecision("allow", scope=scopes[key])
        if key == "m":
            return PermissionDecision("deny", message=await self._line("message for the agent:") or None)
        return PermissionDecision("deny", interrupt=key == "i")

    async def _show_pages(self, lines: list[str]) -> bool:
        """Show all lines, page by page; `False` if the user denied before the end."""
        *first, last = pages(lines, *self._size())
        for page in first:
            for line in page:
                self._show(line, "")
            if await self._key(" n", "more: space shows it, n denies") != " ":
                return False
        for line in last:
            self._show(line, "")
        return True

    # Questions.

    async def _question(self, request: QuestionRequest) -> QuestionAnswer:
        asker = f" ({visible_line(request.asker)})" if request.asker else ""
        title = {"plan": "a plan", "url": "an address to visit"}.get(request.kind, "a question")
        self._show(f"· {title}{asker}", "bold")
        if request.message and not await self._show_pages(
            [f"  {line}" for line in visible_lines(request.message)]
        ):
            return QuestionAnswer.declined(DECLINED)
        answers: dict[str, str | tuple[str, ...]] = {}
        for question in request.questions:
            answer = await self._one(question)
            if answer is None:
                return QuestionAnswer.declined(DECLINED)
            if answer:
                answers[question.key] = answer
        return QuestionAnswer(answers)

    async def _one(self, question: AgentQuestion) -> str | tuple[str, ...] | None:
        """The answer to one question; `None` declines, an empty one skips it."""
        header = f"[{visible_line(question.header)}] " if question.header else ""
        lines = visible_lines(question.text)
        lines[0] = header + lines[0]
        for number, choice in enumerate(question.choices, start=1):
            about = f": {visible_line(choice.description)}" if choice.description else ""
            lines.append(f"  {number} {visible_line(choice.label)}{about}")
        if not await self._show_pages(lines):
            return None
        while True:
            line = await self._line(_hint(question), secret=question.secret)
            if line is None or line == "-":
                return None
            if not line and not question.required:
                return ""
            try:
                answer = chosen(question, line)
                question.value(answer)
            except ValueError as error:
                self._show(f"· {visible_line(str(error))}", "red")
                continue
            return answer


def chosen(question: AgentQuestion, line: str) -> str | tuple[str, ...]:
    """The meaning of a typed line: the number or the name of a choice, several of them, or a text.

    Raises:
        ValueError: nothing was typed.
    """
    if not line:
        raise ValueError("type an answer, or - to decline")

    def one(text: str) -> str:
        text = text.strip()
        if text.isdecimal() and 1 <= int(text) <= len(question.choices):
            return question.choices[int(text) - 1].label
        names = [choice.label for choice in question.choices if choice.label.lower() == text.lower()]
        return names[0] if names else text

    return tuple(map(one, line.split(","))) if question.multiple else one(line)


def _hint(question: AgentQuestion) -> str:
    what = "a number or a name" if question.choices else "an answer"
    several = ", several with commas" if question.multiple else ""
    free = ", or your own words" if question.choices and question.free_text else ""
    skip = "" if question.required else "; Enter skips"
    return f"{what}{several}{free}{skip}; - declines"


def _scope_text(decision: PermissionDecision) -> str:
    if decision.interrupt:
        return ", and stop"
    return {"once": "", "session": " for the session", "always": " always"}[decision.scope]
