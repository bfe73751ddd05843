"""Real agents: not part of a plain test run unless they are installed (see `install.py`)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.agents import install
from tests.support.agent_lab import Lab, open_lab

collect_ignore = [] if install.command("opencode") else ["test_opencode.py"]
"""Large and slow to start: `make test-agents AGENTS="claude codex gemini opencode"` brings it."""


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncGenerator[Lab]:
    """A network namespace with the fake API in it, and a home for agents."""
    async with open_lab(tmp_path) as opened:
        yield opened
