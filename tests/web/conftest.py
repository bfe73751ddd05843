"""A real browser, one for all tests of a module."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support.servers import missing

CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A running Chromium, driven by Playwright."""
    if CHROMIUM is None:
        missing("chromium")
    with sync_playwright() as playwright:
        # Chromium's own sandbox does not work for root, which a container's tests run as.
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
