"""Which actor the present code belongs to."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actors.cell import Cell

current: ContextVar[Cell[Any] | None] = ContextVar("actors.current", default=None)
"""The actor in whose task, or in a child task of which, this context runs. Its `task` tells the two apart."""
