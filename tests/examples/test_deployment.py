"""The systemd unit and the container file of a worker, and the guide that describes them."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from optio_agents.cli.main import parse
from optio_agents.cli.worker.settings import SETTINGS, WorkerSettings, read_settings
from tests.support.servers import missing

ROOT = Path(__file__).parents[2]
UNIT = (ROOT / "examples" / "optio-agents-worker.service").read_text()
CONTAINER = (ROOT / "examples" / "Containerfile").read_text()
GUIDE = (ROOT / "docs" / "operating.md").read_text()
PROGRAM = "/opt/optio-agents/bin/optio-agents"


def settings_of(assignments: list[str]) -> WorkerSettings:
    """What a worker reads from these variables, each of which must be one of its settings."""
    variables = dict(each.split("=", 1) for each in assignments)
    assert set(variables) <= {setting.variable for setting in SETTINGS}
    return read_settings(
        argparse.Namespace(config=None), variables | {"OPTIO_AGENTS_MONGO_URL": "mongodb://db"}
    )


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        missing("systemd-analyze")
    unit = tmp_path / "optio-agents-worker.service"
    unit.write_text(UNIT.replace(PROGRAM, sys.executable))  # it must exist here
    command = ["systemd-analyze", "verify", "--recursive-errors=no", str(unit)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


def test_the_unit_s_worker_drains_before_systemd_loses_patience() -> None:
    assignments = [
        word for line in re.findall(r"^Environment=(.*)", UNIT, re.MULTILINE) for word in line.split()
    ]
    settings = settings_of(assignments)
    (minutes,) = re.findall(r"^TimeoutStopSec=(\d+)min", UNIT, re.MULTILINE)
    assert settings.drain == "finish"
    assert settings.drain_timeout is not None
    assert settings.drain_timeout + settings.cancel_grace < int(minutes) * 60
    (start,) = re.findall(rf"^ExecStart={PROGRAM} (.*)", UNIT, re.MULTILINE)
    assert parse(shlex.split(start)).tasks == "tasks:get_tasks"


def test_the_container_s_commands_and_settings_are_ours() -> None:
    assert settings_of(re.findall(r"(OPTIO_AGENTS_\w+=\S+)", CONTAINER)).log_format == "json"
    (health,) = re.findall(r"^HEALTHCHECK .* CMD (\[.*\])", CONTAINER, re.MULTILINE)
    assert parse(json.loads(health)[1:]).status
    (entry,) = re.findall(r"^ENTRYPOINT (\[.*\])", CONTAINER, re.MULTILINE)
    (command,) = re.findall(r"^CMD (\[.*\])", CONTAINER, re.MULTILINE)
    assert parse([*json.loads(entry)[1:], *json.loads(command)]).tasks == "tasks:get_tasks"
    (extra,) = re.findall(r"/src\[(\w+)\]", CONTAINER)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert extra in project["optional-dependencies"]
    for step in re.findall(r"^RUN (.*)", CONTAINER, re.MULTILINE):
        subprocess.run(["sh", "-n", "-c", step], check=True, timeout=60)


def test_the_guide_names_the_settings_that_exist_and_its_objects_are_json() -> None:
    options = {setting.option for setting in SETTINGS} | {"--verbose", "--status"}
    assert set(re.findall(r"`(--[a-z-]+)", GUIDE)) <= options
    assert json.loads(re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)[0])["level"] == "warning"
    (status,) = re.findall(r"--status\n(\{.*?\n\})", GUIDE, re.DOTALL)
    assert json.loads(status)["healthy"]


@pytest.mark.parametrize("line", re.findall(r"^\$ (.*)", GUIDE, re.MULTILINE))
def test_the_guide_s_command_lines_can_be_parsed(line: str) -> None:
    words = shlex.split(line)
    assert parse(words[words.index("optio-agents") + 1 :]).command_name == "worker"
