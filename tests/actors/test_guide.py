"""docs/actors.md: every block of code runs, and the diagram is the one of the table."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from actors.lifecycle import mermaid
from actors.testing import run_seeded

GUIDE = (Path(__file__).parents[2] / "docs" / "actors.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def module() -> Iterator[ModuleType]:
    """The guide's blocks as one module, which dataclasses need to be able to find."""
    module = ModuleType("the_guide")
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


def test_every_block_of_the_guide_runs(module: ModuleType) -> None:
    ran: list[str] = []
    for source in blocks("python"):
        exec(compile(source, "docs/actors.md", "exec", dont_inherit=True), vars(module))
        for name in re.findall(r"^(?:async )?def ((?:main|test_)\w*)", source, flags=re.MULTILINE):
            function: Any = vars(module)[name]
            if inspect.iscoroutinefunction(function):
                fixtures = inspect.signature(function).parameters  # a clock, which `run_seeded` brings anyway
                run_seeded(function, *[None for _ in fixtures], seed=len(ran))
            else:
                function()
            ran.append(name)
    assert len(ran) == 11


def test_the_diagram_is_current() -> None:
    assert blocks("mermaid") == [mermaid() + "\n"]
