"""The views: what an event says, in words that every backend shares. Frozen values, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from optio_agents.conversation.values import BackgroundTask
from optio_agents.conversation.views.errors import AgentError
from optio_agents.conversation.views.usage import Usage


@dataclass(frozen=True, slots=True)
class Text:
    """Text of the agent's answer.

    `partial`: a piece of a text that is being written. claude and codex send the whole text afterwards, as one more
    `Text` that is not partial; agents of the Agent Client Protocol send pieces only. `parent` is the id of the tool use
    that started the subagent which writes, where that is told (claude).
    """

    text: str
    partial: bool = False
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Thinking:
    """What the model thinks, as far as it is shown. The fields are those of `Text`."""

    text: str
    partial: bool = False
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class ToolUse:
    """The agent uses a tool, or asks whether it may.

    One use may be announced several times under the same `id`, the later time with more of its `input` (ACP agents);
    the last one counts. `name` is the tool's own name where it is told, else its kind.
    """

    id: str
    name: str
    input: dict[str, Any] = field(default_factory=dict)
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The use `id` of a tool has ended. `text` is what of its result is text; `is_error`: it failed or was denied."""

    id: str
    text: str = ""
    is_error: bool = False
    exit_code: int | None = None
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class PlanStep:
    """A step of a plan. `status` is `pending`, `in_progress` or `completed`, or a word of the backend's own."""

    text: str
    status: str


@dataclass(frozen=True, slots=True)
class AgentPlan:
    """The agent's checklist: all its steps, as they are now."""

    steps: tuple[PlanStep, ...]
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How much of a quota is used.

    `used` is a share (0.0 to 1.0, more if it is exceeded), `resets_at` in seconds since 1970, `window_seconds` how long
    the quota counts. `status` is the backend's own word (claude: `allowed`, `allowed_warning`, `rejected`).
    """

    name: str
    status: str | None = None
    used: float | None = None
    resets_at: float | None = None
    window_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Compaction:
    """The agent has replaced its context by a summary. `trigger` is `auto` or `manual`, where it is told."""

    trigger: str | None = None
    tokens_before: int | None = None
    tokens_after: int | None = None


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """The session is open. claude says so at the beginning of each turn, the others once.

    `session` is what a later process resumes, `mode` the permission mode.
    """

    session: str
    model: str | None = None
    cwd: str | None = None
    mode: str | None = None


@dataclass(frozen=True, slots=True)
class BackgroundWork:
    """News of work in the background: `tasks` are open, those named in `ended` are not any more.

    `complete`: `tasks` is all that is open.
    """

    tasks: tuple[BackgroundTask, ...] = ()
    ended: tuple[str, ...] = ()
    complete: bool = False


View = (
    Text
    | Thinking
    | ToolUse
    | ToolResult
    | AgentPlan
    | Usage
    | RateLimit
    | AgentError
    | Compaction
    | SessionStarted
    | BackgroundWork
)
