"""Attachments: what can be sent, and how each backend is given it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from optio_agents.conversation.attachments import (
    NO_EXTRAS,
    SIZE_LIMIT,
    Attachment,
    Extras,
    checked_attachments,
)
from optio_agents.conversation.codecs.acp import AcpCodec
from optio_agents.conversation.codecs.base import Codec
from optio_agents.conversation.codecs.claude import ClaudeCodec
from optio_agents.conversation.codecs.codex import CodexCodec
from optio_agents.conversation.codecs.contents import acp_prompt, claude_content, codex_input, strict_schema
from optio_agents.conversation.turns.owner_commands import Turns
from optio_agents.conversation.turns.turn_state import TurnState
from tests.conversation.turn_steps import hear
from tests.support.simulated_agent import SimulatedCodec

IMAGE = Attachment("red.png", "image/png", b"png")
TEXT = Attachment("huts.csv", "text/csv", b"a,b")
PDF = Attachment("a b.pdf", "application/pdf", b"pdf")


def test_a_file_is_read_with_the_media_type_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    (tmp_path / "notes").write_text("words")
    assert Attachment.of(tmp_path / "a.png") == Attachment("a.png", "image/png", b"\x89PNG")
    assert Attachment.of(tmp_path / "notes").media_type == "text/plain"
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="'binary' is no UTF-8 text"):
        Attachment.of(tmp_path / "binary")


@pytest.mark.parametrize(
    ("arguments", "error", "complaint"),
    [
        (("a", "png", b""), ValueError, "'png' is no media type"),
        (("a", "image/png", "text"), TypeError, "is bytes, not str"),
        (("\udcff", "image/png", b""), ValueError, "lone surrogate"),
    ],
)
def test_what_is_no_attachment_is_refused(arguments: Any, error: type[Exception], complaint: str) -> None:
    with pytest.raises(error, match=complaint):
        Attachment(*arguments)


def test_too_much_and_what_is_no_attachment_is_not_sent() -> None:
    half = Attachment("a", "image/png", b"x" * (SIZE_LIMIT // 2 + 1))
    with pytest.raises(ValueError, match=r"have 16777218 bytes"):
        checked_attachments([half, half])
    with pytest.raises(TypeError, match="not str"):
        checked_attachments(["a.png"])  # type: ignore[list-item]


def test_claude_gets_images_and_documents() -> None:
    image, text, pdf, words = claude_content("look", Extras((IMAGE, TEXT, PDF)))
    assert image["source"] == {"type": "base64", "media_type": "image/png", "data": "cG5n"}
    assert (text["source"]["type"], text["source"]["data"], text["title"]) == ("text", "a,b", "huts.csv")
    assert (pdf["type"], pdf["source"]["media_type"]) == ("document", "application/pdf")
    assert words == {"type": "text", "text": "look"}


def test_codex_gets_images_as_data_urls() -> None:
    assert codex_input("look", Extras((IMAGE,))) == [
        {"type": "image", "url": "data:image/png;base64,cG5n"},
        {"type": "text", "text": "look"},
    ]


def test_acp_agents_get_images_and_resources() -> None:
    image, text, pdf, _ = acp_prompt("look", Extras((IMAGE, TEXT, PDF)))
    assert image == {"type": "image", "mimeType": "image/png", "data": "cG5n"}
    assert text["resource"] == {"uri": "attachment:///huts.csv", "mimeType": "text/csv", "text": "a,b"}
    assert pdf["resource"]["uri"] == "attachment:///a%20b.pdf"
    assert pdf["resource"]["blob"] == "cGRm"


def acp_with(capabilities: dict[str, bool]) -> AcpCodec:
    codec = AcpCodec(cwd="/w")
    codec.start()
    (initialize,) = map(json.loads, codec.take_output().splitlines())
    told = {"protocolVersion": 1, "agentCapabilities": {"promptCapabilities": capabilities}}
    codec.receive(json.dumps({"id": initialize["id"], "result": told}).encode() + b"\n")
    return codec


SCHEMA = {"type": "object"}


@pytest.mark.parametrize(
    ("codec", "extras", "reason"),
    [
        (ClaudeCodec(), Extras((IMAGE, PDF)), None),
        (CodexCodec(cwd="/w"), Extras((IMAGE,), SCHEMA), None),
        (CodexCodec(cwd="/w"), Extras((TEXT,)), "files"),
        (acp_with({"image": True, "embeddedContext": True}), Extras((IMAGE, TEXT)), None),
        (acp_with({"embeddedContext": True}), Extras((IMAGE,)), "images"),
        (acp_with({"image": True}), Extras((TEXT,)), "files"),
        (acp_with({}), Extras((), SCHEMA), "schema"),
        (ClaudeCodec(), Extras((), SCHEMA), "answer_schema="),
    ],
)
def test_a_backend_says_what_it_cannot_be_told(codec: Codec, extras: Extras, reason: str | None) -> None:
    told = codec.why_not(extras)
    assert told is None if reason is None else reason in str(told)


def test_what_steers_too_late_keeps_its_attachments_for_the_next_turn() -> None:
    sent: list[Extras] = []

    class Noting(SimulatedCodec):
        def prompt(self, send: int, text: str, extras: Extras = NO_EXTRAS) -> int:
            sent.append(extras)
            return super().prompt(send, text)

    turns = Turns(TurnState(Noting()))
    hear(turns, {"say": "ready"})
    turns.send(1, "first")
    turns.steer(2, "second", Extras((IMAGE,)))
    hear(turns, {"say": "ended", "turn": 1, "status": "completed", "text": "t"})
    hear(turns, {"say": "refused", "send": 2, "reason": "no", "lost_race": True})
    assert sent == [Extras(), Extras((IMAGE,))]


def test_a_strict_schema_requires_all_that_it_lists() -> None:
    inner = {"type": "object", "properties": {"b": {"type": "string"}}}
    strict = strict_schema(
        {"type": "object", "properties": {"a": inner}, "required": [], "$defs": {"I": inner}}
    )
    assert strict["required"] == ["a"]
    assert strict["properties"]["a"] == {**inner, "additionalProperties": False, "required": ["b"]}
    assert strict["$defs"]["I"]["additionalProperties"] is False
    assert strict_schema({"type": "object"}) == {"type": "object"}
