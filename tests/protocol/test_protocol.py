import dataclasses
import subprocess
import sys
from typing import Any

import pytest

import optio_agents.protocol
from optio_agents.protocol import (
    CallerMessageEvent,
    ProtocolFeatures,
    UnknownLine,
    browser_shims,
    build_log_channel_prompt,
    get_protocol,
)
from optio_agents.protocol.features import BrowserMode


def test_the_parts_of_a_protocol_agree() -> None:
    protocol = get_protocol(browser="redirect", caller_messages=True)
    assert protocol.features == ProtocolFeatures("redirect", client_messages=False, caller_messages=True)
    assert protocol.browser == "redirect"
    assert protocol.documentation == build_log_channel_prompt(protocol.features)
    assert protocol.parse_log_line("CALLER_MESSAGE: k 1") == CallerMessageEvent("k", 1)
    assert protocol.parse_log_line("CLIENT_MESSAGE: k 1") == UnknownLine("CLIENT_MESSAGE: k 1")


def test_a_protocol_is_a_frozen_value() -> None:
    protocol = get_protocol()
    assert protocol == get_protocol()
    with pytest.raises(dataclasses.FrozenInstanceError):
        protocol.documentation = ""  # type: ignore[misc]


def test_an_unknown_browser_mode_is_refused() -> None:
    mode: BrowserMode = "open"  # type: ignore[assignment]
    with pytest.raises(ValueError, match="ignore, suppress, redirect"):
        get_protocol(browser=mode)


async def test_the_shims_are_those_of_its_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    async def prepare(host: object, browser: BrowserMode) -> dict[str, str]:
        return {"host": str(host), "browser": browser}

    monkeypatch.setattr(browser_shims, "prepare_browser_shims", prepare)
    shims = await get_protocol(browser="suppress").prepare_browser_shims("the host")
    assert shims == {"host": "the host", "browser": "suppress"}


def test_every_promised_name_can_be_imported() -> None:
    package: Any = optio_agents.protocol
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        package.no_such_name  # noqa: B018


def test_the_protocol_costs_no_event_loop_until_the_driver_is_asked_for() -> None:
    script = (
        "import sys, optio_agents.protocol.scanner, optio_agents.protocol.browser_shims, optio_agents.protocol as p;"
        "assert not {'trio', 'asyncio', 'motor', 'asyncssh'} & set(sys.modules), sorted(sys.modules);"
        "p.run_log_protocol_session; assert 'trio' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
