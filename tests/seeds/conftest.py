"""A real MongoDB for all tests of this folder, and a database of its own for each."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.support.servers import Mongo, running_mongo


@pytest.fixture(scope="session")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongo]:
    """A running MongoDB."""
    with running_mongo(tmp_path_factory.mktemp("mongo")) as server:
        yield server


@pytest.fixture
def database(mongo: Mongo) -> str:
    """The URL of a database of its own."""
    return f"{mongo.url}/test_{uuid.uuid4().hex[:12]}"
