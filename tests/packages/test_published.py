"""The published agent packages, installed beside this project, from the package index."""

from __future__ import annotations

import pytest

from tests.packages.environment import PUBLISHED, ROOT, WRAPPERS, Environment

pytestmark = [pytest.mark.packages, pytest.mark.timeout(1200)]


def own_version() -> str:
    [line] = [
        line for line in (ROOT / "pyproject.toml").read_text().splitlines() if line.startswith("version =")
    ]
    return line.split('"')[1]


def test_pip_keeps_ours_and_finds_no_conflict(environment: Environment) -> None:
    versions = environment.versions()
    assert versions["optio-agents"] == own_version()
    assert {*PUBLISHED, "optio-agents-all"} <= set(versions)
    assert "No broken requirements found" in environment.pip("check")


@pytest.mark.parametrize("package", PUBLISHED)
def test_each_package_imports(environment: Environment, package: str) -> None:
    """With all its modules, as a worker that uses everything of it would import them."""
    program = f"""
import importlib, pkgutil
package = importlib.import_module({package.replace("-", "_")!r})
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if "migrations" not in module.name and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
import optio_agents.lazy_imports
"""
    done = environment.run("-c", program)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", WRAPPERS)
def test_each_package_makes_its_task(environment: Environment, package: str) -> None:
    """Its config inherits our mixins, and is validated by them."""
    module = package.replace("-", "_")
    program = f"""
import importlib, inspect
package = importlib.import_module({module!r})
[create] = [value for name, value in vars(package).items() if name.startswith("create_") and name.endswith("_task")]
config_type = [value for name, value in vars(package).items() if name.endswith("TaskConfig")][0]
from optio_agents import WelcomeCard, config_types
assert issubclass(config_type, config_types.ClaustrumConfigMixin)
config = config_type(consumer_instructions="Say hello.", fs_isolation=False, welcome=WelcomeCard("Hello"))
task = create(process_id="p1", name="P", config=config)
print(task.process_id)
try:
    config_type(consumer_instructions="Say hello.")
except ValueError as refused:
    assert "delivery_type" in str(refused)
else:
    raise SystemExit("a config without delivery_type was accepted")
"""
    done = environment.run("-c", program)
    assert (done.returncode, done.stdout.strip()) == (0, "p1"), done.stderr
