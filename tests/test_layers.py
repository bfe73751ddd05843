"""Imports go one way, and what must not be paid for is not imported."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

PUBLISHED_PATHS = (
    "optio_agents/browser_shims.py",
    "optio_agents/conversation/session.py",
    "optio_agents/conversation/task_streams.py",
    "optio_agents/protocol/session.py",
)
"""Modules that only re-export names from the place where they live now, for those who import the published path."""

LAYERS: dict[str, set[str]] = {
    "actors": set(),
    "optio_agents.protocol": set(),
    "optio_agents.bridge": {"actors"},
    "optio_agents.hosts": {"actors", "optio_agents.bridge", "optio_agents.protocol"},
    "optio_agents.context": {"optio_agents.protocol"},
    "optio_agents.session": {
        "actors",
        "optio_agents.bridge",
        "optio_agents.context",
        "optio_agents.hosts",
        "optio_agents.protocol",
    },
    "optio_agents.session_controls": set(),
    "optio_agents.conversation": {
        "actors",
        "optio_agents.bridge",
        "optio_agents.context",
        "optio_agents.hosts",
        "optio_agents.mcp",
        "optio_agents.protocol",
        "optio_agents.session",
        "optio_agents.session_controls",
    },
    "optio_agents.model_probe": {"optio_agents.conversation"},
    "optio_agents.seeds": set(),
    "optio_agents.steering": {"optio_agents.conversation"},
    "optio_agents.todos": {"optio_agents.hosts"},
    "optio_agents.web": {"optio_agents.conversation", "optio_agents.hosts", "optio_agents.session_controls"},
    "optio_agents.task": {
        "optio_agents.bridge",
        "optio_agents.context",
        "optio_agents.conversation",
        "optio_agents.hosts",
        "optio_agents.protocol",
        "optio_agents.session",
        "optio_agents.session_controls",
        "optio_agents.todos",
        "optio_agents.uploads",
        "optio_agents.web",
    },
    "optio_agents.telemetry": {
        "optio_agents.conversation",
        "optio_agents.protocol",
        "optio_agents.session",
    },
    "optio_agents.cli": {
        "actors",
        "optio_agents.web",
        "optio_agents.bridge",
        "optio_agents.context",
        "optio_agents.conversation",
        "optio_agents.hosts",
        "optio_agents.protocol",
        "optio_agents.session",
        "optio_agents.task",
        "optio_agents.telemetry",
    },
}
"""Each package, and the packages beneath it that it may import, imports for types included."""


def modules(package: str) -> Iterator[Path]:
    path = ROOT / package.replace(".", "/")
    return path.rglob("*.py") if path.is_dir() else iter([path.with_suffix(".py")])


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[str]:
    """The modules that `path` imports, wherever in the file, imports for types included."""
    tree = ast.parse(path.read_text())
    package = ".".join(path.relative_to(ROOT).with_suffix("").parts[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            for alias in node.names:
                yield f"{base}.{alias.name}" if is_module(f"{base}.{alias.name}") else base


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def is_ours(name: str) -> bool:
    """Whether `name` is a module of a layer; `lazy_imports` is below all of them."""
    return name != "optio_agents.lazy_imports" and name.split(".", maxsplit=1)[0] in (
        "actors",
        "optio_agents",
    )


def is_public_face(path: Path) -> bool:
    """Whether `path` holds names only: a package's `__init__.py`, or a published path."""
    return path.name in ("__init__.py", "api.py") or str(path.relative_to(ROOT)) in PUBLISHED_PATHS


def test_each_package_has_a_row() -> None:
    packages = {f"optio_agents.{path.parent.name}" for path in (ROOT / "optio_agents").glob("*/__init__.py")}
    assert packages <= set(LAYERS)


@pytest.mark.parametrize("package", LAYERS)
def test_imports_go_one_way(package: str) -> None:
    allowed = LAYERS[package] | {package}
    for path in modules(package):
        if (
            str(path.relative_to(ROOT)) in PUBLISHED_PATHS
            or path == ROOT / "optio_agents/protocol/__init__.py"
        ):
            continue
        for name in filter(is_ours, imported(path)):
            assert any(name == each or name.startswith(each + ".") for each in allowed), f"{path}: {name}"


@pytest.mark.parametrize("path", PUBLISHED_PATHS)
def test_a_published_path_only_exports_names(path: str) -> None:
    for node in ast.parse((ROOT / path).read_text()).body:
        assert isinstance(node, ast.Import | ast.ImportFrom | ast.Assign | ast.Expr), ast.unparse(node)


def test_no_modules_import_each_other() -> None:
    graph = {
        name_of(path): {name for name in imported(path) if is_ours(name)}
        for package in ("optio_agents",)
        for path in modules(package)
        if not is_public_face(path)
    }
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the cycle


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
        (
            "import optio_agents.cli.worker.command, optio_agents.task.lease",
            ("trio", "redis", "asyncssh", "optio_host", "optio_core"),
        ),
    ],
)
def test_nothing_is_imported_that_is_not_used(statement: str, unwanted: tuple[str, ...]) -> None:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert not set(done.stdout.split()) & set(unwanted)
