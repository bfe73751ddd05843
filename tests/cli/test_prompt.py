import argparse
import subprocess
import sys

import pytest

from optio_agents.cli import prompt
from optio_agents.protocol.features import ALL_FEATURES
from optio_agents.protocol.prompt import LOG_CHANNEL_PROMPT, build_log_channel_prompt


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    prompt.add_parser(parser.add_subparsers())
    return prompt.run(parser.parse_args(["prompt", *arguments]))


def test_it_prints_the_documentation(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    assert capsys.readouterr().out == LOG_CHANNEL_PROMPT


def test_its_options_enable_keywords(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--browser", "redirect", "--client-messages", "--caller-messages") == 0
    assert capsys.readouterr().out == build_log_channel_prompt(ALL_FEATURES)


def test_an_unknown_browser_mode_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run("--browser", "open")
    assert caught.value.code == 2
    assert "redirect" in capsys.readouterr().err


@pytest.mark.parametrize("module", ["prompt", "check"])
def test_no_event_loop_is_imported(module: str) -> None:
    script = (
        "import argparse, sys\n"
        f"from optio_agents.cli import {module}\n"
        "parser = argparse.ArgumentParser()\n"
        f"{module}.add_parser(parser.add_subparsers())\n"
        f"args = parser.parse_args(['{module}', *sys.argv[1:]])\n"
        f"{module}.run(args)\n"
        "assert not {'trio', 'asyncio', 'motor', 'asyncssh'} & set(sys.modules), sorted(sys.modules)\n"
    )
    arguments = ["/dev/null"] if module == "check" else []
    subprocess.run(
        [sys.executable, "-c", script, *arguments], check=True, timeout=60, stdout=subprocess.DEVNULL
    )
