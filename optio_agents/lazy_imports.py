"""Public names of a package, imported on first use, from the one list that type checkers read.

A package writes its re-exports once, in a block that only type checkers execute:

    if TYPE_CHECKING or not install_lazy_imports():
        from . import browser_shims as browser_shims                # a submodule
        from optio_agents.text import check_text as check_text      # a name

`install_lazy_imports` reads that block from the package's source and gives the package `__getattr__`, `__dir__` and
`__all__`. Without the source (a distribution of compiled files only) it returns `False`, and the block is executed.
The technique is anyio's (`anyio._lazyimport`).
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any


def install_lazy_imports() -> bool:
    """Give the calling package a lazy `__getattr__` for the names of its `TYPE_CHECKING` block.

    Returns:
        Whether that was possible: `False` if the package's source cannot be read.
    """
    package = sys._getframe(1).f_globals
    loader = getattr(package["__spec__"], "loader", None)
    source = getattr(loader, "get_source", lambda name: None)(package["__name__"])
    if source is None:
        return False
    places = dict(_places(ast.parse(source)))

    def __getattr__(name: str) -> Any:  # noqa: N807
        if name not in places:
            raise AttributeError(f"module {package['__name__']!r} has no attribute {name!r}")
        module, attribute = places[name]
        loaded = import_module(module, package["__name__"])
        value = loaded if attribute is None else getattr(loaded, attribute)
        package[name] = value
        return value

    def __dir__() -> list[str]:  # noqa: N807
        return sorted({*package, *places})

    package.update(__getattr__=__getattr__, __dir__=__dir__, __all__=sorted(places))
    return True


def _places(tree: ast.Module) -> Iterator[tuple[str, tuple[str, str | None]]]:
    """Each name with the module that has it; for a submodule there is no attribute to look up."""
    for block in tree.body:
        if not (isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)):
            continue
        for statement in block.body:
            assert isinstance(statement, ast.ImportFrom), "only `from ... import ...` belongs in the block"
            for alias in statement.names:
                name = alias.asname or alias.name
                if statement.module is None:
                    yield name, (f".{alias.name}", None)
                else:
                    yield name, ("." * statement.level + statement.module, alias.name)
