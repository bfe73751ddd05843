"""A real MongoDB for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.servers import Mongo, running_mongo


@pytest.fixture(scope="session")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongo]:
    """A running MongoDB."""
    with running_mongo(tmp_path_factory.mktemp("mongo")) as server:
        yield server
