"""One line for what an agent does with a tool, and for what a turn has used."""

from __future__ import annotations

from optio_agents.cli.chat.visible import visible_line
from optio_agents.conversation import ToolResult, ToolUse, Usage
from optio_agents.conversation.views.values import View
from optio_agents.protocol.display import display_text

WORDS_LIMIT = 160
"""Characters of a tool's input or result that are shown."""

_TELLING = ("command", "file_path", "path", "pattern", "url", "query", "description", "prompt")
"""The members of a tool's input that say what it does, the most telling first."""


def tool_line(view: View) -> str | None:
    """The line for a use of a tool or its result; `None` for other views. Harmless for a terminal."""
    if isinstance(view, ToolUse):
        said = next((view.input[key] for key in _TELLING if isinstance(view.input.get(key), str)), "")
        return f"{visible_line(view.name)[:60]} {_short(said)}".rstrip()
    if isinstance(view, ToolResult):
        ended = "failed" if view.is_error else "done"
        code = "" if view.exit_code in (None, 0) else f" (exit status {view.exit_code})"
        return f"  {ended}{code}: {_short(view.text)}" if view.text.strip() else f"  {ended}{code}"
    return None


def usage_line(usage: Usage) -> str:
    """The tokens of a turn, the cost of the session and the share of the context that is full; may be empty."""
    parts = []
    if usage.input_tokens is not None:
        cached = f" ({_count(usage.cached_tokens)} cached)" if usage.cached_tokens else ""
        parts.append(f"{_count(usage.input_tokens)} in{cached}")
    if usage.output_tokens is not None:
        parts.append(f"{_count(usage.output_tokens)} out")
    if usage.session_cost_usd is not None:
        parts.append(f"session ${usage.session_cost_usd:.4f}")
    if usage.context_tokens is not None and usage.context_window:
        parts.append(f"context {100 * usage.context_tokens / usage.context_window:.0f} % full")
    return ", ".join(parts)


def _short(text: str) -> str:
    first, _, rest = text.strip().partition("\n")
    return display_text(first, WORDS_LIMIT) + (" ..." if rest else "")


def _count(tokens: int | None) -> str:
    number = tokens or 0
    return str(number) if number < 10_000 else f"{number / 1000:.1f}k"
