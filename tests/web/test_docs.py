"""docs/web.md: its program runs, and its routes are those of the application."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Route

from optio_agents.conversation import claude
from optio_agents.conversation.agents import REPLAY_FLAG, replaying
from optio_agents.web.access import Access
from optio_agents.web.app import Routes

TEXT = (Path(__file__).parents[2] / "docs" / "web.md").read_text()


def test_the_task_of_the_document_is_shown_in_the_dashboard() -> None:
    (source,) = re.findall(r"```py\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(source, "docs/web.md", "exec", dont_inherit=True), names)
    assert names["task"].ui_widget == "conversation"


def test_the_table_has_every_route() -> None:
    app = Routes(None, Access(), None).app()  # type: ignore[arg-type]
    assert isinstance(app, Starlette)
    served = {route.path for route in app.routes if isinstance(route, Route)}
    told = {f"/{name}" for name in re.findall(r"^\| `(?:GET|POST) (\w+)", TEXT, re.MULTILINE)}
    assert told == {path for path in served if path != "/" and "." not in path}


def test_a_claude_that_says_its_messages_again_can_be_resumed() -> None:
    agent = replaying(claude())
    assert agent.resumed is not None
    assert agent.resumed("s").command == (*agent.command, "--resume", "s")
    assert agent.command[-1] == REPLAY_FLAG
    assert replaying(agent) is agent
