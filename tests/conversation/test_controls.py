"""The document's table of how each control is set is what the codecs do."""

from __future__ import annotations

from pathlib import Path

from optio_agents.conversation.codecs import acp_controls, claude_controls, codex_controls
from optio_agents.conversation.controls import EFFORT, MODEL, PERMISSION_MODE

DOCUMENT = Path(__file__).parents[2] / "docs" / "conversation.md"


def test_the_table_of_the_document_is_made_of_the_codecs_tables() -> None:
    categories = {control: category for category, control in acp_controls.CATEGORIES.items()}
    requests = {source: method for source, (method, _) in acp_controls.REQUESTS.items()}
    older = {MODEL: requests["model"], PERMISSION_MODE: requests["mode"]}
    for control in (MODEL, EFFORT, PERMISSION_MODE):
        cells = (
            f"`{control}`",
            f"`{claude_controls.REQUESTS[control]('x')['subtype']}`",
            f"`turn/start` `{codex_controls.PARAMETERS[control]}`",
            f"category `{categories[control]}`",
            f"`{older[control]}`" if control in older else "-",
        )
        assert f"| {' | '.join(cells)} |" in DOCUMENT.read_text()
