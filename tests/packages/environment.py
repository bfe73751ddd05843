"""An environment with this project's wheel and the published agent packages, installed by pip as users do it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

WRAPPERS = (
    "optio-claudecode",
    "optio-opencode",
    "optio-codex",
    "optio-cursor",
    "optio-grok",
    "optio-kimicode",
    "optio-antigravity",
)
PUBLISHED = (*WRAPPERS, "optio-demo")

INSTALL_SECONDS = 900.0  # a guard against hanging


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    root: Path

    @property
    def python(self) -> Path:
        return self.root / "bin" / "python"

    def run(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run its Python, isolated from this checkout."""
        return subprocess.run(
            [str(self.python), "-I", *arguments],
            cwd=cwd or self.root,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )

    def pip(self, *arguments: str) -> str:
        """Run its pip; without the package index the test is skipped, in continuous integration it fails."""
        done = self.run("-m", "pip", "--disable-pip-version-check", *arguments)
        if (
            done.returncode != 0
            and not os.environ.get("CI")
            and "Failed to establish a new connection" in done.stderr
        ):
            pytest.skip("the package index cannot be reached")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def versions(self) -> dict[str, str]:
        """Name and version of each installed distribution."""
        lines = self.pip("list", "--format=freeze").splitlines()
        return dict(line.split("==", 1) for line in lines if "==" in line)


def build_wheel(directory: Path) -> Path:
    """The wheel of this checkout."""
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--wheel-dir",
            str(directory),
            str(ROOT),
        ],
        check=True,
        timeout=INSTALL_SECONDS,
    )
    [wheel] = directory.glob("*.whl")
    return wheel


def make_environment(root: Path) -> Environment:
    """Ours first, then the published packages beside it."""
    subprocess.run([sys.executable, "-m", "venv", str(root / "venv")], check=True, timeout=INSTALL_SECONDS)
    environment = Environment(root / "venv")
    environment.pip("install", "--quiet", str(build_wheel(root / "wheels")))
    environment.pip("install", "--quiet", *PUBLISHED)
    return environment
