"""Print a pip constraint for the lowest version that each dependency in pyproject.toml allows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
EXTRAS = ("otel", "tools", "web")
"""What users install. The tools of the tests may be of any version."""

for requirement in PROJECT["dependencies"] + [
    each for extra in EXTRAS for each in PROJECT["optional-dependencies"].get(extra, [])
]:
    if found := re.match(r"([\w.-]+)(?:\[[^\]]*\])?>=([\w.]+)", requirement):
        print(f"{found[1]}=={found[2]}")
