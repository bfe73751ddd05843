"""The views: the content of an event, in terms that all backends share. Frozen values, no behaviour."""

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
    that started the writing subagent, if known (claude).
    """

    text: str
    partial: bool = False
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Thinking:
    """The model's thinking, as far as the backend shows it. The fields are those of `Text`."""

    text: str
    partial: bool = False
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class ToolUse:
    """The agent uses a tool, or requests permission for it.

    One use may be announced several times with the same `id`, later ones with more of its `input` (ACP agents); the
    last one counts. `name` is the tool's own name if known, otherwise its kind.
    """

    id: str
    name: str
    input: dict[str, Any] = field(default_factory=dict)
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The use `id` of a tool has ended. `text` is the text in its result; `is_error`: it failed or was denied."""

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
    """The used part of a quota.

    `used` is a share (0.0 to 1.0, more if it is exceeded), `resets_at` in seconds since 1970, `window_seconds` the
    length of the quota's window. `status` is the backend's own word (claude: `allowed`, `allowed_warning`,
    `rejected`).
    """

    name: str
    status: str | None = None
    used: float | None = None
    resets_at: float | None = None
    window_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Compaction:
    """The agent has replaced its context by a summary. `trigger` is `auto` or `manual`, if known."""

    trigger: str | None = None
    tokens_before: int | None = None
    tokens_after: int | None = None


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """The session is open. claude sends this at the beginning of each turn, the others once.

    `session` is the id with which a later process resumes it, `mode` the permission mode.
    """

    session: str
    model: str | None = None
    cwd: str | None = None
    mode: str | None = None


@dataclass(frozen=True, slots=True)
class BackgroundWork:
    """A change of the background work: `tasks` are open, those named in `ended` have ended.

    `complete`: `tasks` is the complete list of open work.
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
