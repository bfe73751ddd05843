"""Claude Code's stream (measured with 2.1.330; cases without a recording follow the types of its SDK).

- Partial text comes as `stream_event`; the whole block follows as an `assistant` line of its own.
- `result` has the usage of its turn, and the cost of the process so far. Its `input_tokens` excludes what was read from
  or written to the cache. The usage of an `assistant` line belongs to an unfinished message and is ignored.
- A failed call of the model is a `result` of subtype `success` with `is_error`. An interrupted turn has `is_error` too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

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
    total,
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

PLAN_TOOL = "TodoWrite"

LIMITS = {"error_max_turns", "error_max_budget_usd", "error_max_structured_output_retries"}
"""The subtypes of a `result` that say that a limit of ours ended the turn."""

RETRIED = {
    "authentication_failed": ErrorKind.AUTHENTICATION,
    "oauth_org_not_allowed": ErrorKind.AUTHENTICATION,
    "billing_error": ErrorKind.LIMIT,
    "rate_limit": ErrorKind.LIMIT,
    "invalid_request": ErrorKind.INVALID_REQUEST,
    "overloaded": ErrorKind.OVERLOAD,
    "server_error": ErrorKind.OVERLOAD,
}
"""Its own words for what failed, in `api_retry`."""


DELTAS = "stream_event/content_block_delta/"


def parts(raw: Record) -> Sequence[tuple[str, Record]]:
    """The parts of an event: the blocks of a message, a piece of one, or the event itself."""
    kind = raw.get("type")
    if kind == "stream_event":
        # There is one for each piece of text, so it takes the shortest way.
        event = raw.get("event")
        if isinstance(event, dict):
            delta = event.get("delta")
            if event.get("type") == "content_block_delta" and isinstance(delta, dict):
                return ((DELTAS + text_of(delta.get("type")), delta),)
            return (("stream_event/" + text_of(event.get("type")), event),)
        return (("stream_event/", {}),)
    if kind in ("assistant", "user"):
        content = record_of(raw.get("message")).get("content")
        if isinstance(content, str):
            return ((f"{kind}/text", {"type": "text", "text": content}),)
        return [(f"{kind}/{text_of(block.get('type'))}", block) for block in dicts_of(content)]
    if kind == "system":
        return ((f"system/{text_of(raw.get('subtype'))}", raw),)
    return ((text_of(kind), raw),)


def _text_delta(raw: Record, delta: Record) -> Iterable[View]:
    text, parent = delta.get("text"), raw.get("parent_tool_use_id")
    if not isinstance(text, str) or not text:
        return ()
    return (Text(text, True, None if parent is None else name_of(parent)),)


def _thinking_delta(raw: Record, delta: Record) -> Iterator[View]:
    if text := text_of(delta.get("thinking")):
        yield Thinking(text, True, name_of(raw.get("parent_tool_use_id")))


def _text(raw: Record, block: Record) -> Iterator[View]:
    if text := text_of(block.get("text")):
        yield Text(text, parent=name_of(raw.get("parent_tool_use_id")))


def _thinking(raw: Record, block: Record) -> Iterator[View]:
    if text := text_of(block.get("thinking")):
        yield Thinking(text, parent=name_of(raw.get("parent_tool_use_id")))


def _tool_use(raw: Record, block: Record) -> Iterator[View]:
    identity, name, given = (
        name_of(block.get("id")),
        name_of(block.get("name")),
        record_of(block.get("input")),
    )
    parent = name_of(raw.get("parent_tool_use_id"))
    if identity and name:
        yield ToolUse(identity, name, given, parent)
    if name == PLAN_TOOL and isinstance(given.get("todos"), list):
        steps = [
            PlanStep(text_of(each.get("content")), text_of(each.get("status"), "pending"))
            for each in dicts_of(given["todos"])
        ]
        yield AgentPlan(tuple(step for step in steps if step.text), parent)


def _tool_result(raw: Record, block: Record) -> Iterator[View]:
    if identity := name_of(block.get("tool_use_id")):
        failed = block.get("is_error") is True
        text = texts_in(block.get("content"))
        yield ToolResult(identity, text, failed, parent=name_of(raw.get("parent_tool_use_id")))


def _result(raw: Record, _: Record) -> Iterator[View]:
    told = record_of(raw.get("usage"))
    fresh, cached = count_of(told.get("input_tokens")), count_of(told.get("cache_read_input_tokens"))
    written, output = count_of(told.get("cache_creation_input_tokens")), count_of(told.get("output_tokens"))
    cost = number_of(raw.get("total_cost_usd"))
    if fresh is not None or output is not None or cost is not None:
        thought = count_of(record_of(told.get("output_tokens_details")).get("thinking_tokens"))
        read = total(fresh, cached, written)
        yield Usage(UsageScope.TURN, read, output, cached, written, thought, cost)
    aborted = text_of(raw.get("terminal_reason")).startswith("aborted")
    if (raw.get("is_error") is True or raw.get("stop_reason") == "refusal") and not aborted:
        status = count_of(raw.get("api_error_status"))
        yield AgentError(_kind_of_result(raw, status), _message_of_result(raw), status)


def _kind_of_result(raw: Record, status: int | None) -> ErrorKind:
    if raw.get("stop_reason") == "refusal":
        return ErrorKind.REFUSAL
    if text_of(raw.get("subtype")) in LIMITS:
        return ErrorKind.LIMIT
    return kind_of_status(status)


def _message_of_result(raw: Record) -> str:
    errors = raw.get("errors")
    lines = [each for each in errors if isinstance(each, str)] if isinstance(errors, list) else []
    return text_of(raw.get("result")) or "\n".join(lines) or text_of(raw.get("subtype"), "error")


def _retry(raw: Record, _: Record) -> Iterator[View]:
    word, status = text_of(raw.get("error")), count_of(raw.get("error_status"))
    kind = RETRIED.get(word, kind_of_status(status))
    yield AgentError(kind, word or "the call of the model failed", status, will_retry=True)


def _init(raw: Record, _: Record) -> Iterator[View]:
    if session := name_of(raw.get("session_id")):
        mode = name_of(raw.get("permissionMode"))
        yield SessionStarted(session, name_of(raw.get("model")), name_of(raw.get("cwd")), mode)


def _compacted(raw: Record, _: Record) -> Iterator[View]:
    told = record_of(raw.get("compact_metadata"))
    before, after = count_of(told.get("pre_tokens")), count_of(told.get("post_tokens"))
    yield Compaction(name_of(told.get("trigger")), before, after)


def _rate_limit(raw: Record, _: Record) -> Iterator[View]:
    told = record_of(raw.get("rate_limit_info"))
    status, used = name_of(told.get("status")), number_of(told.get("utilization"))
    if status or used is not None:
        name = text_of(told.get("rateLimitType"), "unknown")
        yield RateLimit(name, status, used, number_of(told.get("resetsAt")))


def _tasks(raw: Record, _: Record) -> Iterator[View]:
    if isinstance(raw.get("tasks"), list):
        tasks = [_task(each) for each in dicts_of(raw["tasks"])]
        yield BackgroundWork(tuple(task for task in tasks if task.key), complete=True)


def _task_started(raw: Record, _: Record) -> Iterator[View]:
    task = _task(raw)
    if task.key and raw.get("is_backgrounded") is not False:
        yield BackgroundWork((task,))


def _task_ended(raw: Record, _: Record) -> Iterator[View]:
    if key := name_of(raw.get("task_id")):
        yield BackgroundWork(ended=(key,))


def _task(told: Record) -> BackgroundTask:
    kind, description = text_of(told.get("task_type")), text_of(told.get("description"))
    return BackgroundTask(text_of(told.get("task_id")), kind, description)


CLAUDE = BackendViews(
    "claude",
    parts,
    {
        "stream_event/content_block_delta/text_delta": Decoder((Text,), _text_delta),
        "stream_event/content_block_delta/thinking_delta": Decoder((Thinking,), _thinking_delta),
        "assistant/text": Decoder((Text,), _text),
        "assistant/thinking": Decoder((Thinking,), _thinking),
        "assistant/tool_use": Decoder((ToolUse, AgentPlan), _tool_use),
        "assistant/server_tool_use": Decoder((ToolUse,), _tool_use),
        "user/tool_result": Decoder((ToolResult,), _tool_result),
        "result": Decoder((Usage, AgentError), _result),
        "rate_limit_event": Decoder((RateLimit,), _rate_limit),
        "system/api_retry": Decoder((AgentError,), _retry),
        "system/compact_boundary": Decoder((Compaction,), _compacted),
        "system/init": Decoder((SessionStarted,), _init),
        "system/background_tasks_changed": Decoder((BackgroundWork,), _tasks),
        "system/task_started": Decoder((BackgroundWork,), _task_started),
        "system/task_notification": Decoder((BackgroundWork,), _task_ended),
    },
    {
        "stream_event/content_block_delta/input_json_delta": "the whole input follows as a tool use",
        "stream_event/content_block_delta/signature_delta": "for the model's service only",
        "stream_event/content_block_start": "the frame of a message that is being written",
        "stream_event/content_block_stop": "the frame of a message that is being written",
        "stream_event/message_start": "the frame of a message that is being written",
        "stream_event/message_delta": "the frame of a message that is being written",
        "stream_event/message_stop": "the frame of a message that is being written",
        "assistant/redacted_thinking": "it can not be read",
        "user/text": "our own words, or what the agent tells the model about us",
        "system/status": "the conversation's state says it",
        "system/session_state_changed": "the conversation's state says it",
        "command_lifecycle": "a send's end says it",
        "control_request": "a permission request, a question, or a question to the program itself",
        "control_cancel_request": "the request is withdrawn",
        "control_response": "the answer to a command of ours",
        "keep_alive": "it says nothing",
    },
)
