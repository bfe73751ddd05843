"""`run --agent`: the whole program with a scripted agent, in a pipe and at a terminal."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from optio_agents.cli.exit_codes import ExitCode
from tests.support.cli_run import COMMAND_LINE, HANG_GUARD, Result, environment_for, run, running
from tests.support.terminal import Terminal

AGENT = Path(__file__).parents[2] / "support" / "acp_agent.py"
TALKED_TO = ("run", "--agent", "gemini", "--agent-command", f"{sys.executable} {AGENT}")
DELIVER = "file:deliverables/a.txt log:DELIVERABLE:_deliverables/a.txt log:DONE:_fine"


def run_agent(tmp_path: Path, *arguments: str) -> Result:
    return run(*TALKED_TO, *arguments, cwd=tmp_path)


def test_an_agent_delivers_and_says_done(tmp_path: Path) -> None:
    result = run_agent(tmp_path, "--deliverables", "out", f"say:hello {DELIVER}")
    assert result.code == ExitCode.DONE, result.err
    assert "  | hello" in result.out
    assert result.out.endswith("1 deliverable saved in out: fine\n")
    assert (tmp_path / "out" / "a.txt").exists()


def test_its_own_deliverables_directory_is_where_they_are_saved(tmp_path: Path) -> None:
    result = run_agent(tmp_path, DELIVER)
    assert result.code == ExitCode.DONE, result.err
    assert "1 deliverable saved in deliverables" in result.out
    assert "replaced" not in result.out


@pytest.mark.parametrize(
    ("rules", "answer"),
    [
        ((), "rm-denied"),
        (("--allow", "rm"), "rm-allowed"),
        (("--yes-to", "rm(rm*)"), "rm-allowed"),
        (("--allow", "*", "--deny", "rm"), "rm-denied"),
    ],
)
def test_rules_decide_where_no_person_can(tmp_path: Path, rules: tuple[str, ...], answer: str) -> None:
    result = run_agent(tmp_path, *rules, "--json", "ask:rm log:DONE")
    texts = [event["text"] for event in result.events if event["event"] == "text"]
    assert (result.code, "".join(texts).strip()) == (ExitCode.DONE, answer)


def test_its_text_can_be_left_out(tmp_path: Path) -> None:
    result = run_agent(tmp_path, "--show", "nothing", "say:hello log:DONE:_well")
    assert result.code == ExitCode.DONE
    assert "hello" not in result.out


def test_its_tools_can_be_shown(tmp_path: Path) -> None:
    # It asks before it says DONE, and is answered when all before the question has been read.
    asks = ["ask", "Read", {"file_path": "a"}]
    steps = [["text", "so"], ["tool", "Bash", {"command": "make\x1b[2J"}], asks, ["log", "DONE: made"]]
    claude = AGENT.with_name("claude_agent.py")
    agent = (
        "run",
        "--agent",
        "claude",
        "--agent-command",
        f"{sys.executable} {claude}",
        "--deliverables",
        "out",
    )
    shown = run(*agent, "--allow", "Read", "--show", "tools", json.dumps(steps), cwd=tmp_path)
    assert shown.code == ExitCode.DONE, shown.err
    assert "  | so\n" in shown.out
    assert "  | Bash make\n" in shown.out
    assert "Bash" not in run(*agent, json.dumps(steps), cwd=tmp_path).out


def test_a_prompt_comes_from_a_file_or_from_stdin(tmp_path: Path) -> None:
    (tmp_path / "task.md").write_text("say:one log:DONE:_from_a_file\n")
    assert "from a file" in run_agent(tmp_path, "--prompt-file", "task.md").out
    ended = subprocess.run(
        [*COMMAND_LINE, *TALKED_TO, "-"],
        input="log:DONE:_from_stdin",
        cwd=tmp_path,
        env=environment_for(tmp_path, {}),
        capture_output=True,
        text=True,
        timeout=HANG_GUARD,
        check=True,
    )
    assert "from stdin" in ended.stdout


def test_an_agent_that_dies_or_is_missing_is_one_clear_sentence(tmp_path: Path) -> None:
    crashed = run_agent(tmp_path, "crash")
    assert crashed.code == ExitCode.ENDED_EARLY
    assert "exit status 3" in crashed.err
    assert "it crashed" in crashed.err
    missing = run("run", "--agent", "gemini", "--agent-command", "/nowhere/agent", "x", cwd=tmp_path)
    assert missing.code == ExitCode.USAGE
    assert "there is no program '/nowhere/agent'" in missing.err


def test_a_timeout_ends_the_agent(tmp_path: Path) -> None:
    result = run_agent(tmp_path, "--timeout", "1s", "hang")
    assert result.code == ExitCode.TIMEOUT
    assert "not done after 1 second" in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--allow", "Read", "--", "true"), "--allow requires --agent"),
        (("run", "--agent", "claude"), "say what to do"),
        (("run", "--agent", "claude", "--allow", "(x)", "x"), "not a rule"),
        (("run", "--agent", "claude", "--prompt-file", "f", "x"), "not both"),
        (("run", "--agent", "claude", "--prompt-file", "missing"), "No such file"),
        (("run", "--agent", "claude", "--agent-command", "'", "x"), "cannot be split"),
        (("run", "--agent", "claude", "--ssh", "host", "x"), "--agent works on this machine"),
        (("run",), "say what to run"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments, cwd=tmp_path)
    assert result.code == ExitCode.USAGE
    assert message in result.err


def test_the_page_shows_the_run_and_decides_its_permissions(tmp_path: Path) -> None:
    with running(*TALKED_TO[1:], "--web", f"ask:rm {DELIVER}", cwd=tmp_path) as agents:
        page = agents.wait_for("page")["url"]
        with httpx.Client(follow_redirects=True, timeout=HANG_GUARD) as browser:
            assert "<title>" in browser.get(page).text
            url = page.partition("?")[0]
            while not (waiting := browser.get(f"{url}state").json()["permissions"]):
                pass
            body = {"request_id": waiting[0]["request_id"], "behavior": "allow"}
            assert browser.post(f"{url}permission", json=body).json() == {"ok": True}
        agents.wait_for("deliverable")
        assert agents.finish() == ExitCode.DONE
    texts = [event["text"] for event in agents.events if event["event"] == "text"]
    assert "rm-allowed" in "".join(texts)
    kept = (tmp_path / "state").rglob("events.jsonl")
    assert all("token=" not in file.read_text() for file in kept)


def test_at_a_terminal_permissions_are_asked_and_typed_lines_reach_the_agent(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, *TALKED_TO, "say:hello ask:rm")
    try:
        terminal.until("allow? y/n")
        terminal.type("y")
        terminal.until("rm-allowed")
        terminal.type("log:DONE:_typed\n")
        terminal.until("done after")
        terminal.until("typed")
        assert terminal.process.wait(HANG_GUARD) == ExitCode.DONE
    finally:
        terminal.close()
