"""The Agent Client Protocol (measured with gemini 0.61.0, opencode 1.18.33, claude-code-acp 0.16.2).

- Text and thoughts come in pieces only.
- A tool call is announced, then updated: its input may come late, and its end is an update. gemini announces one that
  needs a permission in the request only.
- The usage of a turn is in the response that ends it: in `usage` (opencode), whose parts are disjoint, or in
  `_meta.quota` (gemini), or nowhere. `usage_update` has the size of the context and the cost of the session.
- An error of the model's service is the error of the response; gemini gives its HTTP status as the code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from optio_agents.conversation.codecs.acp_requests import tool_name
from optio_agents.conversation.codecs.forms import dicts_of, text_of
from optio_agents.conversation.views.errors import AgentError, ErrorKind, kind_of_status
from optio_agents.conversation.views.reading import (
    BackendViews,
    Decoder,
    Record,
    count_of,
    name_of,
    number_of,
    record_of,
    total,
)
from optio_agents.conversation.views.usage import Usage, UsageScope
from optio_agents.conversation.views.values import (
    AgentPlan,
    PlanStep,
    SessionStarted,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    View,
)

STOPS = {
    "max_tokens": ErrorKind.LIMIT,
    "max_turn_requests": ErrorKind.LIMIT,
    "refusal": ErrorKind.REFUSAL,
}
"""The stop reasons that are failures."""

CODES = {
    -32000: ErrorKind.AUTHENTICATION,
    -32600: ErrorKind.INVALID_REQUEST,
    -32601: ErrorKind.INVALID_REQUEST,
    -32602: ErrorKind.INVALID_REQUEST,
    -32002: ErrorKind.INVALID_REQUEST,
}
"""What the protocol's own error codes mean (-32000: log in first; -32002: a resource that does not exist)."""


def parts(raw: Record) -> Sequence[tuple[str, Record]]:
    """The event's kind (with that of its update), and its parameters."""
    method = raw.get("method")
    if not isinstance(method, str):
        return (("error response" if "error" in raw else "response", raw),)
    params = record_of(raw.get("params"))
    if method == "session/update":
        update = record_of(params.get("update"))
        return ((f"session/update/{text_of(update.get('sessionUpdate'))}", update),)
    return ((method, params),)


def _chunk(_: Record, update: Record) -> Iterator[View]:
    if text := text_of(record_of(update.get("content")).get("text")):
        yield Text(text, True)


def _thought(_: Record, update: Record) -> Iterator[View]:
    if text := text_of(record_of(update.get("content")).get("text")):
        yield Thinking(text, True)


def _tool_call(_: Record, call: Record) -> Iterator[View]:
    identity = name_of(call.get("toolCallId"))
    if not identity:
        return
    status = call.get("status")
    if status in ("completed", "failed"):
        yield ToolResult(identity, _result_text(call), status == "failed")
    elif any(call.get(key) for key in ("rawInput", "title", "kind")):
        yield ToolUse(identity, tool_name(call), record_of(call.get("rawInput")))


def _asked(_: Record, params: Record) -> Iterator[View]:
    call = record_of(params.get("toolCall"))
    if identity := name_of(call.get("toolCallId")):
        yield ToolUse(identity, tool_name(call), record_of(call.get("rawInput")))


def _result_text(call: Record) -> str:
    texts = (text_of(record_of(each.get("content")).get("text")) for each in dicts_of(call.get("content")))
    return "\n".join(text for text in texts if text) or text_of(call.get("rawOutput"))


def _plan(_: Record, update: Record) -> Iterator[View]:
    if isinstance(update.get("entries"), list):
        steps = [
            PlanStep(text_of(each.get("content")), text_of(each.get("status"), "pending"))
            for each in dicts_of(update["entries"])
        ]
        yield AgentPlan(tuple(step for step in steps if step.text))


def _context(_: Record, update: Record) -> Iterator[View]:
    used, cost = count_of(update.get("used")), record_of(update.get("cost"))
    dollars = number_of(cost.get("amount")) if cost.get("currency") == "USD" else None
    if used is not None or dollars is not None:
        size = count_of(update.get("size"))
        yield Usage(UsageScope.SESSION, session_cost_usd=dollars, context_tokens=used, context_window=size)


def _response(_: Record, raw: Record) -> Iterator[View]:
    result = record_of(raw.get("result"))
    if session := name_of(result.get("sessionId")):
        model, mode = _chosen(result, "model"), _chosen(result, "mode")
        yield SessionStarted(session, model, mode=mode)
    told = record_of(result.get("usage"))
    counted = record_of(record_of(record_of(result.get("_meta")).get("quota")).get("token_count"))
    if (usage := _turn_usage(told) or _quota(counted)) is not None:
        yield usage
    reason = text_of(result.get("stopReason"))
    if reason in STOPS:
        yield AgentError(STOPS[reason], reason)


def _turn_usage(told: Record) -> Usage | None:
    fresh, output = count_of(told.get("inputTokens")), count_of(told.get("outputTokens"))
    if fresh is None and output is None:
        return None
    cached, written = count_of(told.get("cachedReadTokens")), count_of(told.get("cachedWriteTokens"))
    thought = count_of(told.get("thoughtTokens"))
    return Usage(
        UsageScope.TURN, total(fresh, cached, written), total(output, thought), cached, written, thought
    )


def _quota(told: Record) -> Usage | None:
    read, output = count_of(told.get("input_tokens")), count_of(told.get("output_tokens"))
    return None if read is None and output is None else Usage(UsageScope.TURN, read, output)


def _chosen(result: Record, what: str) -> str | None:
    """The model or the mode: from the session's options (opencode), or in the format of earlier versions."""
    for option in dicts_of(result.get("configOptions")):
        if option.get("category") == what:
            return name_of(option.get("currentValue"))
    told = record_of(result.get(f"{what}s"))
    return name_of(told.get("currentModelId" if what == "model" else "currentModeId"))


def _failed(_: Record, raw: Record) -> Iterator[View]:
    error = record_of(raw.get("error"))
    code = error.get("code")
    code = code if isinstance(code, int) and not isinstance(code, bool) else 0
    status = code if 400 <= code <= 599 else None
    kind = CODES.get(code) or kind_of_status(status)
    yield AgentError(kind, text_of(error.get("message"), "the request failed"), status)


ACP = BackendViews(
    "acp",
    parts,
    {
        "session/update/agent_message_chunk": Decoder((Text,), _chunk),
        "session/update/agent_thought_chunk": Decoder((Thinking,), _thought),
        "session/update/tool_call": Decoder((ToolUse, ToolResult), _tool_call),
        "session/update/tool_call_update": Decoder((ToolUse, ToolResult), _tool_call),
        "session/request_permission": Decoder((ToolUse,), _asked),
        "session/update/plan": Decoder((AgentPlan,), _plan),
        "session/update/usage_update": Decoder((Usage,), _context),
        "response": Decoder((SessionStarted, Usage, AgentError), _response),
        "error response": Decoder((AgentError,), _failed),
    },
    {
        "session/update/user_message_chunk": "our own words, replayed",
        "session/update/available_commands_update": "about the installation",
        "session/update/current_mode_update": "a setting",
        "session/update/config_option_update": "a setting",
        "session/update/session_info_update": "the session's title",
        "elicitation/create": "the question reaches its handler",
        "fs/read_text_file": "the conversation declines it",
        "fs/write_text_file": "the conversation declines it",
    },
)
