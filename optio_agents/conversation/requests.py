"""An agent's requests to its owner: permission for a tool, and questions. Plain values.

One type of question for all backends: claude's `AskUserQuestion`, `elicitation` and `ExitPlanMode`, codex's
`item/tool/requestUserInput` and `mcpServer/elicitation/request`, and `elicitation/create` of the Agent Client Protocol.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from optio_agents.conversation.sendable import check_text
from optio_agents.conversation.surface import PermissionRequest, Scope

NO_HANDLER = (
    "No one is available to answer questions. Decide for yourself, or say what you need to know and end your"
    " turn."
)
"""The answer to a question for which no handler is set."""


@dataclass(frozen=True)
class ToolRequest(PermissionRequest):
    """A permission request, with what our backends send in addition to the tool and its input."""

    turn: int | None = None
    """The turn in which it was asked; the turn may have ended since."""
    asker: str | None = None
    """Which subagent or spawned thread asks; `None` for the agent itself."""
    scopes: tuple[Scope, ...] = ("once",)
    """How long it can be allowed."""
    covers: tuple[str, ...] = ()
    """What a permission beyond this request covers, in the backend's words (`Bash(touch *)`)."""


@dataclass(frozen=True)
class Choice:
    """One of the answers that the agent suggests."""

    label: str
    description: str = ""
    value: Any = None
    """The value that is sent to the backend, if it differs from the label."""


@dataclass(frozen=True)
class AgentQuestion:
    """One question. Its answer is a text, or with `multiple` a tuple of texts."""

    key: str
    """The key of its answer."""
    text: str
    header: str = ""
    choices: tuple[Choice, ...] = ()
    multiple: bool = False
    free_text: bool = True
    """Whether answers other than the choices are accepted."""
    secret: bool = False
    """Whether to hide the typed answer."""
    required: bool = True
    kind: Literal["text", "number", "integer", "boolean"] = "text"

    def value(self, answer: str | tuple[str, ...]) -> Any:
        """The value that is sent to the backend.

        Raises:
            ValueError, TypeError: this does not answer the question; the text says why.
        """
        if self.multiple:
            each = (answer,) if isinstance(answer, str) else tuple(answer)
            return [self._one(text) for text in each]
        return self._one(answer)

    def _one(self, answer: object) -> Any:
        text = check_text(f"the answer to {self.key!r}", answer)
        for choice in self.choices:
            if text == choice.label:
                return choice.label if choice.value is None else choice.value
        if self.choices and not self.free_text:
            raise ValueError(f"{text!r} is none of the choices: {', '.join(c.label for c in self.choices)}")
        return _READ[self.kind](text)


def _boolean(text: str) -> bool:
    meanings = {"yes": True, "y": True, "true": True, "no": False, "n": False, "false": False}
    if text.strip().lower() not in meanings:
        raise ValueError(f"{text!r} is neither yes nor no")
    return meanings[text.strip().lower()]


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is no number that can be sent")
    return value


_READ: dict[str, Callable[[str], Any]] = {"text": str, "number": _number, "integer": int, "boolean": _boolean}


@dataclass(frozen=True)
class QuestionRequest:
    """The agent asks its user questions, and waits for the answers."""

    kind: Literal["questions", "form", "plan", "url"]
    """`plan`: `message` is a plan that wants approval (the answer to `approve` is yes or no). `url`: `message` names an
    address that the user is asked to visit (`visit`: yes or no)."""
    message: str
    questions: tuple[AgentQuestion, ...]
    raw: dict[str, Any] = field(repr=False)
    """The backend's own request, unchanged."""
    turn: int | None = None
    asker: str | None = None

    def values(self, answers: Mapping[str, str | tuple[str, ...]]) -> dict[str, Any]:
        """The values that are sent to the backend, by the keys of the questions.

        Raises:
            ValueError, TypeError: an answer is missing or invalid, or answers no question.
        """
        known = {question.key for question in self.questions}
        if unknown := [key for key in answers if key not in known]:
            raise ValueError(f"there is no question {unknown[0]!r}; the questions are {sorted(known)}")
        told = {}
        for question in self.questions:
            if question.key in answers:
                told[question.key] = question.value(answers[question.key])
            elif question.required:
                raise ValueError(f"the question {question.key!r} has no answer")
        return told


@dataclass(frozen=True)
class QuestionAnswer:
    """The answer to a `QuestionRequest`: an answer for each question, or a refusal.

    Args:
        answers: By the keys of the questions; `None` declines.
        reason: With a refusal: the text for the agent, if the backend can pass it on.

    Raises:
        TypeError, ValueError: this cannot be sent to the agent.
    """

    answers: Mapping[str, str | tuple[str, ...]] | None
    reason: str | None = None

    def __post_init__(self) -> None:
        """Refuse what could not be written to the agent."""
        if self.answers is not None and not isinstance(self.answers, Mapping):
            raise TypeError(f"answers is a mapping or None, not {type(self.answers).__name__}")
        for key, answer in (self.answers or {}).items():
            for text in (answer,) if isinstance(answer, str) else tuple(answer):
                check_text(f"the answer to {key!r}", text)
        if self.reason is not None:
            check_text("reason", self.reason)

    @staticmethod
    def declined(reason: str | None = None) -> QuestionAnswer:
        """A refusal."""
        return QuestionAnswer(None, reason)


AgentRequest: TypeAlias = ToolRequest | QuestionRequest
QuestionHandler: TypeAlias = Callable[
    [QuestionRequest], Awaitable[QuestionAnswer | None] | QuestionAnswer | None
]
"""What it returns answers; `None` leaves the question open for `answer`."""
