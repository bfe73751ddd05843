"""Codex's app server (measured with 0.169.0; cases without a recording follow its published protocol).

- An item begins (`item/started`), grows in pieces, and ends (`item/completed`, which contains all of it).
- `thread/tokenUsage/updated` follows each call of the model: `last` is that call, `total` the thread. Its input counts
  what was cached.
- An `error` that is not retried is repeated in `turn/completed`, where it is read.
- It calls every failure of the model's service "high demand" (`internalServerError`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from optio_agents.conversation.codecs.codex_work import GOAL
from optio_agents.conversation.codecs.forms import dicts_of, text_of
from optio_agents.conversation.values import BackgroundTask
from optio_agents.conversation.views.errors import AgentError, ErrorKind, kind_of_status
from optio_agents.conversation.views.reading import (
    BackendViews,
    Decoder,
    Record,
    count_of,
    name_of,
    number_of,
    record_of,
    texts_in,
    views_in,
)
from optio_agents.conversation.views.usage import Usage, UsageScope
from optio_agents.conversation.views.values import (
    AgentPlan,
    BackgroundWork,
    Compaction,
    PlanStep,
    RateLimit,
    SessionStarted,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    View,
)

ERRORS = {
    "unauthorized": ErrorKind.AUTHENTICATION,
    "serverOverloaded": ErrorKind.OVERLOAD,
    "internalServerError": ErrorKind.OVERLOAD,
    "flexUnavailable": ErrorKind.OVERLOAD,
    "contextWindowExceeded": ErrorKind.LIMIT,
    "sessionBudgetExceeded": ErrorKind.LIMIT,
    "usageLimitExceeded": ErrorKind.LIMIT,
    "rateLimitExceeded": ErrorKind.LIMIT,
    "responseTooManyFailedAttempts": ErrorKind.OVERLOAD,
    "cyberPolicy": ErrorKind.REFUSAL,
    "misalignmentPolicyViolation": ErrorKind.REFUSAL,
    "badRequest": ErrorKind.INVALID_REQUEST,
}
"""What `codexErrorInfo` means where it tells no HTTP status."""

REQUEST_ERRORS = {
    -32600: ErrorKind.INVALID_REQUEST,
    -32601: ErrorKind.INVALID_REQUEST,
    -32602: ErrorKind.INVALID_REQUEST,
    -32001: ErrorKind.OVERLOAD,
}
"""What the codes of the errors mean with which it answers requests."""

STATUSES = {"inProgress": "in_progress"}
"""The statuses of plan steps that it spells otherwise."""


def parts(raw: Record) -> Sequence[tuple[str, Record]]:
    """The event's kind (with the type of its item), and its parameters."""
    method = raw.get("method")
    if not isinstance(method, str):
        return (("error response" if "error" in raw else "response", raw),)
    params = record_of(raw.get("params"))
    if method in ("item/started", "item/completed"):
        item = record_of(params.get("item"))
        return ((f"{method}/{text_of(item.get('type'))}", item),)
    return ((method, params),)


def _delta(_: Record, params: Record) -> Iterator[View]:
    if text := text_of(params.get("delta")):
        yield Text(text, True)


def _message(_: Record, item: Record) -> Iterator[View]:
    if text := text_of(item.get("text")):
        yield Text(text)


def _reasoning_delta(_: Record, params: Record) -> Iterator[View]:
    if text := text_of(params.get("delta")):
        yield Thinking(text, True)


def _reasoning(_: Record, item: Record) -> Iterator[View]:
    for name in ("summary", "content"):
        told = item.get(name)
        lines = [each for each in told if isinstance(each, str)] if isinstance(told, list) else []
        if text := "\n".join(lines):
            yield Thinking(text)
            return


def _uses(name: str, *fields: str) -> Callable[[Record, Record], Iterable[View]]:
    """The decoder of a tool that is built in: the fields of its item that are its input."""

    def decode(_: Record, item: Record) -> Iterator[View]:
        if identity := name_of(item.get("id")):
            given = {key: item[key] for key in fields if item.get(key) is not None}
            yield ToolUse(identity, name, given)

    return decode


def _mcp_use(_: Record, item: Record) -> Iterator[View]:
    identity, tool, server = name_of(item.get("id")), name_of(item.get("tool")), name_of(item.get("server"))
    if identity and tool:
        yield ToolUse(identity, f"{server}.{tool}" if server else tool, record_of(item.get("arguments")))


def _ended(_: Record, item: Record) -> Iterator[View]:
    if identity := name_of(item.get("id")):
        output = text_of(item.get("aggregatedOutput"))
        code = item.get("exitCode")
        code = code if isinstance(code, int) and not isinstance(code, bool) else None
        yield ToolResult(identity, output, _failed(item), code)


def _mcp_ended(_: Record, item: Record) -> Iterator[View]:
    if identity := name_of(item.get("id")):
        content = record_of(item.get("result")).get("content", item.get("contentItems"))
        text = texts_in(content) or text_of(record_of(item.get("error")).get("message"))
        yield ToolResult(identity, text, _failed(item))


def _failed(item: Record) -> bool:
    """An item without a status (a web search) has not failed."""
    return item.get("status") in ("failed", "declined")


def _plan(_: Record, params: Record) -> Iterator[View]:
    if isinstance(params.get("plan"), list):
        steps = [
            (text_of(each.get("step")), text_of(each.get("status"))) for each in dicts_of(params["plan"])
        ]
        yield AgentPlan(tuple(PlanStep(text, STATUSES.get(status, status)) for text, status in steps if text))


def _usage(_: Record, params: Record) -> Iterator[View]:
    told = record_of(params.get("tokenUsage"))
    window = count_of(told.get("modelContextWindow"))
    for key, scope in (("last", UsageScope.CALL), ("total", UsageScope.SESSION)):
        tokens = record_of(told.get(key))
        read, written = count_of(tokens.get("inputTokens")), count_of(tokens.get("outputTokens"))
        if read is None and written is None:
            continue
        cached, cache_write = (
            count_of(tokens.get("cachedInputTokens")),
            count_of(tokens.get("cacheWriteInputTokens")),
        )
        thought = count_of(tokens.get("reasoningOutputTokens"))
        yield Usage(scope, read, written, cached, cache_write, thought, context_window=window)


def _rate_limits(_: Record, params: Record) -> Iterator[View]:
    told = record_of(params.get("rateLimits"))
    name, status = text_of(told.get("limitId"), "codex"), name_of(told.get("rateLimitReachedType"))
    for key in ("primary", "secondary"):
        window = record_of(told.get(key))
        percent, minutes = number_of(window.get("usedPercent")), count_of(window.get("windowDurationMins"))
        if percent is not None:
            seconds = None if minutes is None else minutes * 60
            yield RateLimit(
                f"{name}/{key}", status, percent / 100, number_of(window.get("resetsAt")), seconds
            )


def _error(_: Record, params: Record) -> Iterator[View]:
    if params.get("willRetry") is True:
        yield _failure(record_of(params.get("error")), will_retry=True)


def _completed(_: Record, params: Record) -> Iterator[View]:
    turn = record_of(params.get("turn"))
    if turn.get("status") == "failed":
        yield _failure(record_of(turn.get("error")), will_retry=False)


def _failure(error: Record, *, will_retry: bool) -> AgentError:
    info = error.get("codexErrorInfo")
    fields = record_of(info)
    word = info if isinstance(info, str) else next(iter(fields), "")
    status = count_of(record_of(fields.get(word)).get("httpStatusCode"))
    kind = kind_of_status(status) if status is not None else ERRORS.get(word, ErrorKind.OTHER)
    details, message = text_of(error.get("additionalDetails")), text_of(error.get("message"), "failed")
    if kind is ErrorKind.OTHER and '"invalid_request_error"' in message:
        kind = ErrorKind.INVALID_REQUEST  # it passes the body of a 400 on, and calls it "other"
    return AgentError(kind, f"{message}: {details}" if details else message, status, will_retry)


def _refused(_: Record, raw: Record) -> Iterator[View]:
    error = record_of(raw.get("error"))
    code = error.get("code")
    kind = REQUEST_ERRORS.get(code, ErrorKind.OTHER) if isinstance(code, int) else ErrorKind.OTHER
    yield AgentError(kind, text_of(error.get("message"), "the request was refused"))


def _opened(_: Record, raw: Record) -> Iterator[View]:
    result = record_of(raw.get("result"))
    session, model = name_of(record_of(result.get("thread")).get("id")), name_of(result.get("model"))
    if session and model:
        mode = name_of(result.get("approvalPolicy"))
        yield SessionStarted(session, model, name_of(result.get("cwd")), mode)


def _compacted(_: Record, item: Record) -> Iterator[View]:
    yield Compaction()


def _goal(_: Record, params: Record) -> Iterator[View]:
    goal = record_of(params.get("goal"))
    objective, status = name_of(goal.get("objective")), name_of(goal.get("status"))
    if objective and status == "active":
        yield BackgroundWork((BackgroundTask(GOAL, GOAL, objective),))
    elif status:
        yield BackgroundWork(ended=(GOAL,))


def _goal_cleared(_: Record, params: Record) -> Iterator[View]:
    yield BackgroundWork(ended=(GOAL,))


USES = {
    "commandExecution": _uses("commandExecution", "command", "cwd"),
    "fileChange": _uses("fileChange", "changes"),
    "webSearch": _uses("webSearch", "query", "action"),
    "imageView": _uses("imageView", "path"),
    "imageGeneration": _uses("imageGeneration", "revisedPrompt"),
    "collabAgentToolCall": _uses("collabAgentToolCall", "tool", "prompt", "receiverThreadIds"),
    "mcpToolCall": _mcp_use,
    "dynamicToolCall": _mcp_use,
}
"""The items that are uses of tools, by type."""

ENDS = {"mcpToolCall": _mcp_ended, "dynamicToolCall": _mcp_ended}
"""Those whose results have a content; the other ones have an output, or none."""

APPROVAL = "the permission request reaches its handler"
OWN = "our own words"
STATE = "the conversation's state and results say it"
SETTING = "about the installation"
PIECE = "the whole follows when the item is completed"

CODEX = BackendViews(
    "codex",
    parts,
    {
        "item/agentMessage/delta": Decoder((Text,), _delta),
        "item/completed/agentMessage": Decoder((Text,), _message),
        "item/reasoning/summaryTextDelta": Decoder((Thinking,), _reasoning_delta),
        "item/reasoning/textDelta": Decoder((Thinking,), _reasoning_delta),
        "item/completed/reasoning": Decoder((Thinking,), _reasoning),
        **{f"item/started/{kind}": Decoder((ToolUse,), decode) for kind, decode in USES.items()},
        **{f"item/completed/{kind}": Decoder((ToolResult,), ENDS.get(kind, _ended)) for kind in USES},
        "turn/plan/updated": Decoder((AgentPlan,), _plan),
        "thread/tokenUsage/updated": Decoder((Usage,), _usage),
        "account/rateLimits/updated": Decoder((RateLimit,), _rate_limits),
        "error": Decoder((AgentError,), _error),
        "turn/completed": Decoder((AgentError,), _completed),
        "error response": Decoder((AgentError,), _refused),
        "response": Decoder((SessionStarted,), _opened),
        "item/completed/contextCompaction": Decoder((Compaction,), _compacted),
        "thread/goal/updated": Decoder((BackgroundWork,), _goal),
        "thread/goal/cleared": Decoder((BackgroundWork,), _goal_cleared),
    },
    {
        "item/started/userMessage": OWN,
        "item/completed/userMessage": OWN,
        "item/started/agentMessage": PIECE,
        "item/started/reasoning": PIECE,
        "item/reasoning/summaryPartAdded": PIECE,
        "item/started/contextCompaction": PIECE,
        "item/commandExecution/outputDelta": PIECE,
        "item/fileChange/outputDelta": PIECE,
        "item/fileChange/patchUpdated": PIECE,
        "item/commandExecution/requestApproval": APPROVAL,
        "item/fileChange/requestApproval": APPROVAL,
        "serverRequest/resolved": APPROVAL,
        "thread/compacted": "the item says it",
        "thread/started": "the response says it; the others are subagents",
        "thread/status/changed": STATE,
        "turn/started": STATE,
        "turn/diff/updated": "the file changes say it",
        "configWarning": SETTING,
        "deprecationNotice": SETTING,
        "warning": SETTING,
        "remoteControl/status/changed": SETTING,
        "mcpServer/startupStatus/updated": SETTING,
    },
)


def added_usage(so_far: Usage | None, raw: Record) -> Usage | None:
    """The usage of a turn after one more call of the model, from `raw` (`thread/tokenUsage/updated`)."""
    for view in views_in(CODEX, raw):
        if isinstance(view, Usage) and view.scope is UsageScope.CALL:
            return replace(view, scope=UsageScope.TURN) if so_far is None else so_far.plus(view)
    return so_far
