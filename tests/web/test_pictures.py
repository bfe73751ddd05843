"""What the page looks like: contrast and widths are checked, and `make pictures` makes the pictures of the docs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.web.page_lab import Shown, shown_run

pytestmark = pytest.mark.browser

TASK = "The totals of the invoice export are off by a cent now and then. Find out why and mend it."
TODOS = [
    {"content": "Find the rounding", "status": "completed"},
    {"content": "Round once, at the end", "status": "in_progress"},
    {"content": "Write the report", "status": "pending"},
]
SCRIPT: dict[str, list[Any]] = {
    TASK: [
        ["log", "STATUS: 55% Mending the export"],
        ["tool", "TodoWrite", {"todos": TODOS}],
        ["stream", "Each line is rounded ", "before the sum is taken. I round the sum instead."],
        [
            "tool",
            "Edit",
            {"file_path": "invoices/export.py", "old_string": "round(line)", "new_string": "line"},
        ],
        ["file", "deliverables/report.md", "# Report\n"],
        ["log", "DELIVERABLE: deliverables/report.md"],
        ["ask", "Bash", {"command": "python -m pytest tests/invoices -q"}],
        ["text", "All tests pass."],
    ],
    "Which database do the tests use?": [["question"]],
}
DESKTOP = {"width": 1000, "height": 760}
PHONE = {"width": 390, "height": 844}

CONTRAST = """
() => {
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const color = parts(getComputedStyle(element).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.disabled) continue;
    const [a, b] = [light(parts(getComputedStyle(element).color)), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${element.tagName} ${element.className} ${element.textContent}: ${ratio}`);
  }
  return found;
}
"""
"""The texts whose contrast is below what WCAG asks for (AA, 4.5 to 1)."""


def keep(shown: Shown, name: str) -> None:
    """Make a picture, if pictures are asked for."""
    if folder := os.environ.get("PICTURES"):
        shown.page.screenshot(path=Path(folder) / f"{name}.png", animations="disabled")


@pytest.mark.parametrize(
    ("name", "viewport", "scheme"),
    [("web-desktop", DESKTOP, "light"), ("web-dark", DESKTOP, "dark"), ("web-phone", PHONE, "light")],
)
def test_the_page_can_be_read(
    browser: Browser, tmp_path: Path, name: str, viewport: Any, scheme: Any
) -> None:
    with shown_run(browser, tmp_path, TASK, script=SCRIPT, viewport=viewport, color_scheme=scheme) as shown:
        expect(shown.card).to_contain_text("pytest tests/invoices")
        expect(shown.page.get_by_role("link", name="report.md")).to_be_visible()
        assert shown.page.evaluate(CONTRAST) == []
        keep(shown, name)
        shown.press("Allow")
        shown.type("Which database do the tests use?")
        expect(shown.card).to_contain_text("Which db?")
        assert shown.page.evaluate(CONTRAST) == []
        if viewport is PHONE:
            keep(shown, f"{name}-question")
        assert shown.page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
