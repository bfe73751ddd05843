"""Install the pinned agent CLIs that the `agents` tests run, into `.agents/` at the top of the checkout.

Run as a script: `python tests/agents/install.py [claude codex gemini opencode]` (the first three by
default). It needs `npm` and, for gemini, `node`. Nothing is installed outside `.agents/`, no package's
install script runs (the platform packages hold the finished binaries), and a CLI that is already there in
the pinned version is kept.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

AGENTS = Path(__file__).resolve().parents[2] / ".agents"
"""Where everything goes: `.agents/<name>/node_modules/...`."""

_ARCH = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
_CODEX_TRIPLE = {"x64": "x86_64-unknown-linux-musl", "arm64": "aarch64-unknown-linux-musl"}.get(_ARCH, _ARCH)


@dataclass(frozen=True)
class Pinned:
    """One CLI: what to install, in which version, and what to run (below `node_modules`)."""

    package: str
    version: str
    program: str
    interpreter: str | None = None


PINNED = {
    "claude": Pinned(
        "@anthropic-ai/claude-code", "2.1.330", f"@anthropic-ai/claude-code-linux-{_ARCH}/claude"
    ),
    "codex": Pinned(
        "@openai/codex", "0.169.0", f"@openai/codex-linux-{_ARCH}/vendor/{_CODEX_TRIPLE}/bin/codex"
    ),
    "gemini": Pinned("@google/gemini-cli", "0.61.0", "@google/gemini-cli/bundle/gemini.js", "node"),
    "opencode": Pinned("opencode-ai", "1.18.33", f"opencode-linux-{_ARCH}/bin/opencode"),
}
DEFAULT = ("claude", "codex", "gemini")


def command(name: str) -> list[str] | None:
    """The argv prefix that runs `name`, or `None` when it is not installed in the pinned version."""
    pinned = PINNED[name]
    modules = AGENTS / name / "node_modules"
    program = modules / pinned.program
    if not program.exists() or _installed_version(name) != pinned.version:
        return None
    if pinned.interpreter is None:
        return [str(program)]
    interpreter = shutil.which(pinned.interpreter)
    return None if interpreter is None else [interpreter, str(program)]


def _installed_version(name: str) -> str | None:
    manifest = AGENTS / name / "node_modules" / PINNED[name].package / "package.json"
    if not manifest.exists():
        return None
    version: str | None = json.loads(manifest.read_text()).get("version")
    return version


def install(name: str) -> None:
    """Install one CLI with npm; raises `CalledProcessError` when npm fails."""
    pinned = PINNED[name]
    if command(name) is not None:
        print(f"{name} {pinned.version}: already there")
        return
    folder = AGENTS / name
    folder.mkdir(parents=True, exist_ok=True)
    flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--loglevel=error"]
    target = f"{pinned.package}@{pinned.version}"
    subprocess.run(["npm", "install", "--prefix", str(folder), *flags, target], check=True)
    if command(name) is None:
        raise SystemExit(f"{name}: npm installed {target}, but {pinned.program} is not there")
    print(f"{name} {pinned.version}: installed")


if __name__ == "__main__":
    for wanted in sys.argv[1:] or DEFAULT:
        install(wanted)
