"""Imports go one way, and what must not be paid for is not imported."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

MAY_IMPORT = {
    "actors": set(),
    "optio_agents.bridge": {"actors"},
    "optio_agents.protocol": {"optio_agents.hosts", "optio_agents.protocol.browser_shims"},
    "optio_agents.hosts": {"actors", "optio_agents.bridge", "optio_agents.protocol"},
}
"""Project packages (beside itself) that each layer may import. `hosts.base` and `protocol` share values only."""


def modules(package: str) -> Iterator[Path]:
    return (ROOT / package.replace(".", "/")).rglob("*.py")


def imported(path: Path) -> Iterator[str]:
    """The modules that `path` imports, type-checking imports left out."""
    tree = ast.parse(path.read_text())
    skipped = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    package = ".".join(path.relative_to(ROOT).with_suffix("").parts[:-1])
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            yield ".".join([*base, *([node.module] if node.module else [])])


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_go_one_way(package: str) -> None:
    allowed = MAY_IMPORT[package] | {package}
    for path in modules(package):
        if path == ROOT / "optio_agents/protocol/session.py":
            continue  # the public face of the driver, placed where its users import it from
        for name in imported(path):
            if name.split(".")[0] in ("actors", "optio_agents"):
                assert any(name == each or name.startswith(each + ".") for each in allowed), f"{path}: {name}"


def test_the_runtime_needs_trio_only() -> None:
    foreign = {
        name.split(".")[0] for path in modules("actors") for name in imported(path) if path.name != "otel.py"
    }
    assert foreign - set(sys.stdlib_module_names) <= {"actors", "trio", "outcome", "pytest", ""}


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import optio_agents", ("trio", "asyncio", "motor", "asyncssh", "optio_host")),
        (
            "from optio_agents import get_protocol, parse_log_line",
            ("trio", "motor", "asyncssh", "optio_host"),
        ),
        (
            "from optio_agents import run_log_protocol_session; import optio_agents.hosts.local",
            ("motor", "asyncssh", "optio_host", "optio_core"),
        ),
    ],
)
def test_nothing_is_imported_that_is_not_used(statement: str, unwanted: tuple[str, ...]) -> None:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert not set(done.stdout.split()) & set(unwanted)
