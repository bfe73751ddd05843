"""One line for a use of a tool, a result, and the usage of a turn."""

from __future__ import annotations

from optio_agents.cli.chat.summaries import WORDS_LIMIT, tool_line, usage_line
from optio_agents.conversation import Text, ToolResult, ToolUse, Usage, UsageScope


def test_a_tool_is_one_harmless_line() -> None:
    assert tool_line(ToolUse("1", "Bash", {"description": "d", "command": "make\nrm"})) == "Bash make ..."
    assert tool_line(ToolUse("1", "Odd", {"n": 3})) == "Odd"
    assert tool_line(ToolResult("1", "1 failed\x1b[2J", is_error=True, exit_code=2)) == (
        "  failed (exit status 2): 1 failed"
    )
    assert tool_line(ToolResult("1")) == "  done"
    assert tool_line(Text("x")) is None
    assert len(tool_line(ToolUse("1", "B" * 999, {"command": "c" * 9999})) or "") < WORDS_LIMIT + 80


def test_usage_names_what_is_known() -> None:
    usage = Usage(
        UsageScope.TURN, 12_345, 67, 10_000, session_cost_usd=0.5, context_tokens=50, context_window=200
    )
    assert usage_line(usage) == "12.3k in (10.0k cached), 67 out, session $0.5000, context 25 % full"
    assert usage_line(Usage(UsageScope.TURN)) == ""
