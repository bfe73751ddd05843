"""The page of a run in a real browser: the whole program, with an agent that speaks as Claude Code does."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect

from tests.support.cli_run import HANG_GUARD, Running, running

AGENT = Path(__file__).parents[1] / "support" / "claude_agent.py"
MILLISECONDS = 1000 * HANG_GUARD

expect.set_options(timeout=MILLISECONDS)


@dataclass
class Shown:
    """One viewer: what it sees, and what it does."""

    page: Page
    run: Running
    problems: list[str]

    @property
    def talk(self) -> Locator:
        """All that was said."""
        return self.page.locator("#talk")

    def messages(self, kind: str) -> Locator:
        """What was said by `user` or `agent`, or a `tool`, `note`, `error`, `done` row."""
        return self.page.locator(f"#talk .{kind}")

    @property
    def card(self) -> Locator:
        """The requests that wait."""
        return self.page.locator(".card")

    def say(self, *steps: list[Any]) -> None:
        """Type the prompt that makes the agent do these steps, and send it."""
        self.type(json.dumps(steps))

    def type(self, text: str) -> None:
        """Type a message, and send it with the Enter key."""
        self.page.get_by_label("Message").fill(text)
        self.page.get_by_label("Message").press("Enter")

    def press(self, name: str) -> None:
        """Press a button."""
        self.page.get_by_role("button", name=name, exact=True).click()


@contextmanager
def shown_run(
    browser: Browser,
    cwd: Path,
    prompt: str = '[["text", "I am here."]]',
    *,
    script: Any = None,
    **context: Any,
) -> Iterator[Shown]:
    """A run of `prompt` and its page; fails if the page has complained on its console."""
    command = f"{sys.executable} {AGENT}"
    with running(
        *("--agent", "claude", "--agent-command", command, "--web", "--deliverables", "out", prompt),
        cwd=cwd,
        CLAUDE_AGENT_SCRIPT=json.dumps(script or {}),
    ) as run:
        address = run.wait_for("page")["url"]
        with viewer(browser, run, address, **context) as shown:
            yield shown


@contextmanager
def viewer(browser: Browser, run: Running, address: str, **context: Any) -> Iterator[Shown]:
    """A viewer of the page at `address`, in a browser profile of its own."""
    profile = browser.new_context(**context)
    profile.set_default_timeout(MILLISECONDS)
    try:
        page = profile.new_page()
        problems: list[str] = []

        def note(message: ConsoleMessage) -> None:
            # A refused request, or a run that has ended, is the business of the test.
            if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
                problems.append(message.text)

        page.on("console", note)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(address)
        yield Shown(page, run, problems)
        assert not problems
    finally:
        profile.close()
