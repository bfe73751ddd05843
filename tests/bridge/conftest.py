"""Every test of the bridge is run with both drivers (see `driver_choice`)."""

from __future__ import annotations

import pytest

from optio_agents.bridge import driver_choice
from tests.support import public_trio


@pytest.fixture(params=["public"] if public_trio.IS_WANTED else ["stepping", "public"], autouse=True)
def trio_driver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the driver."""
    name: str = request.param
    monkeypatch.setenv(driver_choice.VARIABLE, name)
    return name
