"""`chat --web`: the page beside the terminal or the program."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx

from tests.support.cli_run import COMMAND_LINE, HANG_GUARD

AGENT = Path(__file__).parents[2] / "support" / "acp_agent.py"


def test_the_page_and_the_program_talk_to_the_same_agent(tmp_path: Path) -> None:
    words = ["chat", "--agent", "gemini", "--json", "--web", "--", sys.executable, str(AGENT)]
    with subprocess.Popen(
        [*COMMAND_LINE, *words],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as chat:
        try:
            assert chat.stdin is not None
            assert chat.stdout is not None
            assert chat.stderr is not None
            page = chat.stderr.readline().split()[-1]
            with httpx.Client(follow_redirects=True, timeout=HANG_GUARD) as browser:
                assert "<title>" in browser.get(page).text
                url = page.partition("?")[0]
                assert browser.post(f"{url}send", json={"text": "say:typed"}).json()["ok"]
                for line in chat.stdout:
                    event = json.loads(line)
                    if event["kind"] == "turn":
                        assert event["text"] == "typed "
                        break
                with browser.stream("GET", f"{url}events") as events:
                    chat.stdin.close()
                    told = [line for line in events.iter_lines() if line.startswith("data: ")]
            assert json.loads(told[-1][6:]) == {"type": "x-optio-over"}
            chat.stdout.read()
            assert chat.wait(HANG_GUARD) == 0
        finally:
            chat.kill()
