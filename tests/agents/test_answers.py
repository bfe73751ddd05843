"""Structured answers of real agents, and images and files in their prompts."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import pytest
import trio

from optio_agents.conversation import Attachment, NoValidAnswer, TurnStatus, Unsupported
from tests.agents.test_tools import AGENTS
from tests.support.agent_lab import HANG_GUARD, Lab

pytestmark = pytest.mark.agents


@dataclass
class Trip:
    to: str
    nights: int = 1


JSON_SCHEMA = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}


def answering(name: str, *answers: dict[str, Any]) -> str:
    """The prompt for which the model gives these answers, one after another."""
    if name == "claude":
        return "".join(f"[[tool StructuredOutput {json.dumps(each)}]]" for each in answers)
    return f"[[say {json.dumps(answers[0])}]]"


@pytest.mark.parametrize("name", ["claude", "codex"])
async def test_an_answer_becomes_a_value_of_the_type(lab: Lab, name: str) -> None:
    with trio.fail_after(HANG_GUARD):
        async with lab.talk(name, answer_schema=Trip) as conversation:
            prompt = answering(name, {"to": "Uppsala", "nights": 2})
            assert await conversation.ask(prompt, schema=Trip) == Trip("Uppsala", 2)
            again = answering(name, {"to": "Rome", "nights": 3})
            assert await conversation.ask(again, schema=Trip) == Trip("Rome", 3)


async def test_codex_is_given_the_schema_of_each_turn(lab: Lab) -> None:
    with trio.fail_after(HANG_GUARD):
        async with lab.talk("codex") as conversation:
            prompt = answering("codex", {"to": "Uppsala"})
            assert await conversation.ask(prompt, schema=JSON_SCHEMA) == {"to": "Uppsala"}
            given = {**JSON_SCHEMA, "additionalProperties": False}
            await lab.reported(schema=given)
            assert (await conversation.ask("[[say free]]")).text.strip() == "free"


@pytest.mark.parametrize("name", ["claude", "codex"])
async def test_an_answer_that_does_not_fit_is_a_typed_error_with_the_turn(lab: Lab, name: str) -> None:
    with trio.fail_after(HANG_GUARD):
        async with lab.talk(name, answer_schema=Trip) as conversation:
            # claude refuses what does not fit; its model gives none after that.
            with pytest.raises(NoValidAnswer) as caught:
                await conversation.ask(answering(name, {"to": 7}), schema=Trip)
            assert caught.value.turn.turn == 1
            with pytest.raises(NoValidAnswer, match="the turn has failed"):
                await conversation.ask("[[error 400]]", schema=Trip)
            prompt = answering(name, {"to": "Rome", "nights": 1})
            assert await conversation.ask(prompt, schema=Trip) == Trip("Rome")


async def test_claude_lets_its_model_correct_an_answer(lab: Lab) -> None:
    with trio.fail_after(HANG_GUARD):
        async with lab.talk("claude", answer_schema=Trip) as conversation:
            prompt = answering("claude", {"to": 7}, {"to": "Rome", "nights": 1})
            assert await conversation.ask(prompt, schema=Trip) == Trip("Rome")


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("claude", r"answer_schema=\.\.\."), ("gemini", "it takes no message with a schema of the answer")],
)
async def test_where_the_backend_cannot_the_error_says_so(lab: Lab, name: str, complaint: str) -> None:
    with trio.fail_after(HANG_GUARD):
        async with lab.talk(name) as conversation:
            with pytest.raises(Unsupported, match=complaint):
                await conversation.ask("[[say {}]]", schema=Trip)


def picture() -> bytes:
    """A PNG of 8 x 8 red pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = b"".join(b"\0" + b"\xff\0\0" * 8 for _ in range(8))
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("name", AGENTS)
async def test_the_model_sees_an_image(lab: Lab, name: str) -> None:
    image = Attachment("red.png", "image/png", picture())
    with trio.fail_after(HANG_GUARD):
        async with lab.talk(name) as conversation:
            result = await conversation.ask("[[say red]]", attachments=[image])
            assert (result.status, result.text.strip()) == (TurnStatus.COMPLETED, "red")
            seen = [image for event in lab.events for image in event.get("images", [])]
            assert f"data:image/png;base64,{base64.b64encode(picture()).decode()}" in seen


@pytest.mark.parametrize("name", [name for name in AGENTS if name != "codex"])
async def test_the_model_reads_a_file(lab: Lab, name: str) -> None:
    (lab.base / "huts.csv").write_text("name,beds\nAbisko,84 [[say from the file]]\n")
    with trio.fail_after(HANG_GUARD):
        async with lab.talk(name) as conversation:
            result = await conversation.ask("look", attachments=[Attachment.of(lab.base / "huts.csv")])
            # The model does what the newest directives say, so it has read them.
            assert result.text.strip().startswith("from the file")


async def test_codex_takes_no_file_and_says_so(lab: Lab) -> None:
    with trio.fail_after(HANG_GUARD):
        async with lab.talk("codex") as conversation:
            with pytest.raises(Unsupported, match="codex: it takes no message with files"):
                await conversation.ask("look", attachments=[Attachment("a.txt", "text/plain", b"a")])
