import re

import pytest

from optio_agents.protocol.events import UnknownLine
from optio_agents.protocol.features import ALL_FEATURES, ProtocolFeatures
from optio_agents.protocol.keywords import KEYWORDS, Keyword, enabled_keywords
from optio_agents.protocol.parser import parse_log_line
from optio_agents.protocol.prompt import LOG_CHANNEL_PROMPT, RESUME_NOTICE, build_log_channel_prompt

EVERY_SET_OF_FEATURES = [
    ProtocolFeatures(browser, client_messages, caller_messages)
    for browser in ("ignore", "suppress", "redirect")
    for client_messages in (False, True)
    for caller_messages in (False, True)
]

each_set = pytest.mark.parametrize("features", EVERY_SET_OF_FEATURES, ids=str)


@each_set
def test_the_text_says_what_every_agent_must_know(features: ProtocolFeatures) -> None:
    text = build_log_channel_prompt(features)
    headings = re.findall(r"^## .*$", text, re.MULTILINE)
    assert headings == ["## Log channel", "## Deliverables", "## Messages from the harness"]
    for fragment in ("`./optio.log`", "`./deliverables/`", "newline", "`tail -c 1 ./optio.log`", "`System:`"):
        assert fragment in text
    assert "Write DONE only when you have the reply to each deliverable" in text
    assert RESUME_NOTICE in text
    assert text.endswith("\n")


@each_set
def test_a_keyword_is_documented_exactly_when_it_is_enabled(features: ProtocolFeatures) -> None:
    words = set(re.findall(r"\b[A-Z][A-Z_]{3,}\b", build_log_channel_prompt(features)))
    names = {keyword.name for keyword in KEYWORDS}
    assert words & names == {keyword.name for keyword in enabled_keywords(features)}


@each_set
def test_each_example_in_the_text_parses_to_what_the_text_says(features: ProtocolFeatures) -> None:
    text = build_log_channel_prompt(features)
    examples = re.findall(r"For example, `([^`]+)` (.*)\.$", text, re.MULTILINE)
    assert len(examples) == text.count("For example") >= len(enabled_keywords(features))
    for line, effect in examples:
        event = parse_log_line(line, features=features)
        assert not isinstance(event, UnknownLine)
        # The effect names, as code, each part of the event that is not empty, and nothing else.
        shown = re.findall(r"`([^`]+)`", effect)
        parts = [getattr(event, name) for name in type(event).__dataclass_fields__]
        expected = {part if isinstance(part, str) else str(part) for part in parts if part is not None}
        assert {part.replace('"', "'") for part in shown} == expected


@pytest.mark.parametrize("keyword", KEYWORDS, ids=lambda keyword: keyword.name)
def test_each_example_of_the_table_parses_to_its_event(keyword: Keyword) -> None:
    assert keyword.examples
    for example in keyword.examples:
        assert parse_log_line(example.line, features=ALL_FEATURES) == example.event


@each_set
def test_only_the_suppressing_text_calls_browsers_impossible(features: ProtocolFeatures) -> None:
    said = "impossible to launch a browser" in build_log_channel_prompt(features)
    assert said == (features.browser == "suppress")


@each_set
def test_the_text_names_no_particular_agent(features: ProtocolFeatures) -> None:
    text = build_log_channel_prompt(features).lower()
    for name in ("claude", "codex", "gemini", "opencode", "cursor", "copilot", "aider", "grok", "kimi"):
        assert name not in text


def test_the_constant_is_the_text_for_the_default_features() -> None:
    assert build_log_channel_prompt() == LOG_CHANNEL_PROMPT
    assert RESUME_NOTICE == "you have been resumed"
