"""The turn rules, the codecs and the views can be read, tested and used without any runtime: they import none."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import optio_agents.conversation

FOLDER = Path(optio_agents.conversation.__file__).parent
PACKAGE = "optio_agents.conversation"
SANS_IO = {
    "values",
    "surface",
    "requests",
    "attachments",
    "mcp_servers",
    "sendable",
    "controls",
    "optio_agents.session_controls",
    *(f"codecs.{path.stem}" for path in FOLDER.glob("codecs/[a-z]*.py")),
    *(f"turns.{path.stem}" for path in FOLDER.glob("turns/[a-z]*.py")),
    *(f"views.{path.stem}" for path in FOLDER.glob("views/[a-z]*.py")),
}
IO = {"asyncio", "os", "select", "selectors", "signal", "socket", "subprocess", "threading", "time"}


@pytest.mark.parametrize("module", sorted(SANS_IO))
def test_what_is_sans_io_imports_values_and_the_like_only(module: str) -> None:
    root = FOLDER.parents[1] if module.startswith("optio_agents.") else FOLDER
    tree = ast.parse((root / f"{module.replace('.', '/')}.py").read_text())
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Import) or all(
            alias.name in sys.stdlib_module_names - IO for alias in node.names
        )
        if isinstance(node, ast.ImportFrom):
            name = node.module or ""
            ours = name.removeprefix(f"{PACKAGE}.")
            assert (
                ours in SANS_IO
                or name == "optio_agents.mcp"
                or name.split(".")[0] in sys.stdlib_module_names - IO
            ), name
