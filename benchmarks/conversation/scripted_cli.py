"""A program that speaks as `claude -p` does: prints N pieces of text for a prompt `N`, ends a turn when interrupted.

Its output is made before it is asked for, and written in pieces of 64 KiB, so that its reader is what is measured.
Standard library only.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from typing import Any

SESSION = "6f0bb0d4-4b2f-4d0e-9df5-02f0a0a5ad6c"
OUT = sys.stdout.fileno()


def line(**record: Any) -> bytes:
    return json.dumps({**record, "session_id": SESSION, "uuid": str(uuid.uuid4())}).encode() + b"\n"


def piece(number: int) -> bytes:
    delta = {"type": "text_delta", "text": f"word{number} "}
    event = {"type": "content_block_delta", "index": 0, "delta": delta}
    return line(type="stream_event", event=event, parent_tool_use_id=None)


def result(names: list[str], **more: Any) -> bytes:
    numbers = {"duration_ms": 1, "duration_api_ms": 1, "num_turns": 1, "total_cost_usd": 0.0, "usage": {}}
    fields = {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "terminal_reason": "completed",
        "result": "t",
    }
    return line(**{**fields, **numbers, **more}, user_message_uuids=names)


def write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(OUT, view[: 64 * 1024]) :]


def main() -> None:
    made: dict[int, bytes] = {}
    names: list[str] = []
    for text in sys.stdin:
        heard = json.loads(text)
        if heard["type"] == "control_request":
            response = {"subtype": "success", "request_id": heard["request_id"], "response": {"commands": []}}
            answer = line(type="control_response", response=response)
            if heard["request"]["subtype"] == "interrupt":
                answer += result(
                    names,
                    is_error=True,
                    terminal_reason="aborted_streaming",
                    subtype="error_during_execution",
                )
            write(answer)
        elif heard["type"] == "user":
            names = [heard["uuid"]] if heard.get("uuid") else []
            content = heard["message"]["content"]
            prompt = content if isinstance(content, str) else content[0]["text"]
            begin = line(type="command_lifecycle", command_uuid=names[0], state="started") if names else b""
            begin += line(
                type="system", subtype="init", tools=[], user_message_uuids=names, model="m", cwd="/"
            )
            if prompt.startswith("make"):
                made[int(prompt.split()[1])] = b"".join(map(piece, range(int(prompt.split()[1]))))
                write(begin + result(names))
            elif prompt == "hang":
                write(begin + piece(0))
            else:
                write(begin + made[int(prompt)] + result(names))


if __name__ == "__main__":
    main()
