"""One list of public names: what type checkers read is what exists at run time."""

from __future__ import annotations

import compileall
import subprocess
import sys
from pathlib import Path

import pytest

import optio_agents

PACKAGE = """
from typing import TYPE_CHECKING
from optio_agents.lazy_imports import install_lazy_imports

if TYPE_CHECKING or not install_lazy_imports():
    from sample.values import ONE as ONE, TWO as DEUX

    from . import module as module
"""


def run(program: str, *arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    package = tmp_path / "sample"
    package.mkdir()
    (package / "__init__.py").write_text(PACKAGE)
    (package / "values.py").write_text("ONE, TWO = 1, 2\n")
    (package / "module.py").write_text("")
    return tmp_path


def test_names_come_from_the_block_and_are_imported_on_first_use(sample: Path) -> None:
    printed = run(
        "import sys; sys.path.insert(0, sys.argv[1]); import sample\n"
        "print(sample.__all__, 'sample.values' in sys.modules)\n"
        "print(sample.ONE, sample.DEUX, sample.module.__name__, 'DEUX' in dir(sample), hasattr(sample, 'x'))\n"
        "from sample import *; print(ONE, module.__name__)",
        sample,
    )
    assert printed.splitlines() == [
        "['DEUX', 'ONE', 'module'] False",
        "1 2 sample.module True False",
        "1 sample.module",
    ]


def test_a_package_without_its_source_imports_everything(sample: Path) -> None:
    compileall.compile_dir(sample, quiet=1, legacy=True)
    for source in sample.rglob("*.py"):
        source.unlink()
    assert (
        run("import sys; sys.path.insert(0, sys.argv[1]); import sample; print(sample.DEUX)", sample) == "2"
    )


@pytest.mark.parametrize("name", ["seeds", "claustrum", "input_listener", "AllowedDir", "check_text"])
def test_public_names_are_there_without_an_import_of_their_module(name: str) -> None:
    assert run(f"import optio_agents; print(hasattr(optio_agents, {name!r}))") == "True"


PUBLISHED = """
    AccountInfo AgentInfo AgentSender AllowedDir BUSY_SEND_VALUES BlobCryptoConfigMixin BrowserMode BusySend
    BusySendDeclaration CALLER_MESSAGE_QUEUE_BOUND CallerMessageCallback ControlOption ControlSettings Conversation
    ConversationClosed ConversationMode CustomControl CustomControlsConfigMixin CustomOption DELIVERABLE_QUEUE_BOUND
    DeliverableCallback DeliverableEvent DoneEvent EMPTY ErrorEvent HookCallback HookContext HookContextProtocol
    LogEvent McpConfigMixin McpServer McpServersProvider NAV_KEYS PermissionDecision PermissionRequest Protocol
    ProtocolFeatures RESUME_NOTICE ResumeConfigMixin SYSTEM_MESSAGE_PREFIX SeedProvider SeedUnavailableError
    SendOutcome SessionControl StatusEvent Steering TOOL_VERBOSITIES Text ThinkingVerbosity ToolVerbosity UnknownLine
    UsageWindow WelcomeCard WelcomeConfigMixin browser_shims build_log_channel_prompt check_text claustrum
    fetch_deliverable_text get_protocol input_listener is_limited model_probe parse_log_line
    relativize_deliverable_path resolve_busy_send resolve_mcp_servers resolve_text run_log_protocol_session seeds
    send_key_to_tmux send_text_to_tmux serialized session_controls start_input_listener steering tmux_input
    validate_deliverable_path
"""


def test_every_public_name_of_the_published_package_is_public_here() -> None:
    public = vars(optio_agents)["__all__"]
    assert set(PUBLISHED.split()) <= set(public)
    for name in public:
        assert hasattr(optio_agents, name), name


@pytest.mark.parametrize("name", ["fs_grants", "pane_surfacing", "prompt", "uploads", "account", "text"])
def test_a_module_that_is_no_public_name_can_be_imported_from_the_package(name: str) -> None:
    assert run(f"from optio_agents import {name}; print({name}.__name__)") == f"optio_agents.{name}"
