"""One environment for all tests of this folder: installing takes a minute."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.packages.environment import Environment, make_environment
from tests.support.servers import Mongo, running_mongo


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return make_environment(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="session")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongo]:
    with running_mongo(tmp_path_factory.mktemp("mongo")) as server:
        yield server
