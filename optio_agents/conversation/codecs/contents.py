"""A message's text and its attachments, in the form of each backend.

Measured with claude 2.1.330, codex 0.169.0, gemini 0.61.0 and opencode 1.18.33. codex takes images as data URLs and no
files. ACP agents take what `promptCapabilities` says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from optio_agents.conversation.attachments import Attachment, Extras

Block = dict[str, Any]


def claude_content(text: str, extras: Extras) -> list[Block]:
    """The `content` of a user message."""
    return [*_blocks(extras.attachments, _claude_block), {"type": "text", "text": text}]


def _claude_block(each: Attachment) -> Block:
    encoded = {"type": "base64", "media_type": each.media_type, "data": each.base64}
    if each.is_image:
        return {"type": "image", "source": encoded}
    if each.is_text:
        source = {"type": "text", "media_type": "text/plain", "data": each.data.decode()}
        return {"type": "document", "source": source, "title": each.name}
    return {"type": "document", "source": encoded, "title": each.name}


def codex_input(text: str, extras: Extras) -> list[Block]:
    """The `input` of a turn."""
    return [*_blocks(extras.images, _codex_block), {"type": "text", "text": text}]


def _codex_block(each: Attachment) -> Block:
    return {"type": "image", "url": f"data:{each.media_type};base64,{each.base64}"}


def acp_prompt(text: str, extras: Extras) -> list[Block]:
    """The `prompt` of a session."""
    return [*_blocks(extras.attachments, _acp_block), {"type": "text", "text": text}]


def _acp_block(each: Attachment) -> Block:
    if each.is_image:
        return {"type": "image", "mimeType": each.media_type, "data": each.base64}
    resource = {"uri": f"attachment:///{quote(each.name)}", "mimeType": each.media_type}
    body = {"text": each.data.decode()} if each.is_text else {"blob": each.base64}
    return {"type": "resource", "resource": {**resource, **body}}


def _blocks(attachments: Iterable[Attachment], form: Any) -> list[Block]:
    return [form(each) for each in attachments]


def strict_schema(schema: Any) -> Any:
    """A JSON schema as OpenAI's services want it: each object has these properties, all of them, and no others."""
    if isinstance(schema, list):
        return [strict_schema(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: strict_schema(value) for key, value in schema.items()}
    properties = strict.get("properties")
    if strict.get("type") == "object" and isinstance(properties, dict):
        strict.setdefault("additionalProperties", False)
        strict["required"] = list(properties)
    return strict
