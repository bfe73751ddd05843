"""Real servers, one of each for all tests of this folder."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import Mongo, Redis, Ssh, running_mongo, running_redis, running_sshd


@pytest.fixture(scope="session")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongo]:
    """A running MongoDB."""
    with running_mongo(tmp_path_factory.mktemp("mongo")) as server:
        yield server


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A running Redis."""
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ssh]:
    """A running sshd."""
    with running_sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def database(mongo: Mongo) -> str:
    """The URL of a database of its own."""
    return f"{mongo.url}/test_{uuid.uuid4().hex[:12]}"


@pytest.fixture(autouse=True)
def own_task_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Task directories of these tests lie in a temporary directory."""
    root = tmp_path / "tasks"
    monkeypatch.setenv("OPTIO_AGENTS_TASK_ROOT", str(root))
    return root
