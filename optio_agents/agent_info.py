"""`AgentInfo`: which coding agent an agent package runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AgentInfo:
    """A coding agent, for lists and headings.

    Attributes:
        slug: its machine-readable id, such as `claudecode`.
        name: its name as people read it, such as `Claude Code`.
        url: its home page.
    """

    slug: str
    name: str
    url: str
