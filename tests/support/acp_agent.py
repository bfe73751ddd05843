"""A program that speaks the Agent Client Protocol on its stdio and does what its prompts say.

`log:LINE` appends a line to optio.log (with spaces for underscores), `file:PATH` writes a file, `say:WORD`
prints text, `todo:a=completed,b=pending` shows a plan, `ask:TOOL` asks for permission, `hang` waits to be cancelled,
`once` does so the first time in a directory, `crash` exits with status 3. Of a prompt with the documentation of the log
protocol, only what follows `## Your task` is done. With the arguments `--do WORDS` it does these for every prompt;
with `--usage` it prints a usage text instead. Each prompt, and each session that is taken up, becomes a line of the
file $SEEN, if that is set. With $FORGETFUL it takes up no session. Its mode can be set to `plan`,
but not to `root`. Standard library only.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

Record = dict[str, Any]

MODES = {
    "availableModes": [{"id": name, "name": name.title()} for name in ("ask", "plan", "root")],
    "currentModeId": "ask",
}


def say(record: Record) -> None:
    print(json.dumps({"jsonrpc": "2.0", **record}), flush=True)


def hear() -> Record:
    line = sys.stdin.readline()
    if not line:
        raise SystemExit(0)
    record: Record = json.loads(line)
    return record


def update(text: str) -> None:
    content = {"type": "text", "text": text}
    body = {"sessionUpdate": "agent_message_chunk", "content": content}
    say({"method": "session/update", "params": {"sessionId": "s", "update": body}})


def permitted(tool: str) -> str:
    """Ask, and wait: allowed, denied or cancelled."""
    options = [{"optionId": kind, "kind": kind, "name": kind} for kind in ("allow_once", "reject_once")]
    call = {"toolCallId": "c", "kind": tool, "title": tool, "rawInput": {"command": tool}}
    params = {"sessionId": "s", "options": options, "toolCall": call}
    say({"id": 0, "method": "session/request_permission", "params": params})
    cancelled = False
    while True:
        heard = hear()
        if heard.get("method") == "session/cancel":
            cancelled = True
        elif heard.get("id") == 0:
            chosen = heard["result"]["outcome"].get("optionId")
            if cancelled or chosen is None:
                return "cancelled"
            return "allowed" if chosen == "allow_once" else "denied"


def turn(text: str) -> str:
    """Do one prompt; returns the stop reason."""
    for word in text.rpartition("## Your task")[2].split():
        kind, _, rest = word.partition(":")
        if kind == "say":
            update(rest + " ")
        elif kind == "ask":
            answer = permitted(rest)
            if answer == "cancelled":
                return "cancelled"
            update(f"{rest}-{answer} ")
        elif kind == "todo":
            rows = [row.partition("=") for row in rest.split(",")]
            entries = [{"content": text, "priority": "medium", "status": status} for text, _, status in rows]
            body = {"sessionUpdate": "plan", "entries": entries}
            say({"method": "session/update", "params": {"sessionId": "s", "update": body}})
        elif kind == "log":
            with open("optio.log", "a") as log:
                log.write(rest.replace("_", " ") + "\n")
        elif kind == "file":
            with open(rest, "w") as file:
                file.write("content\n")
        elif kind == "once" and os.path.exists("once"):
            continue
        elif kind in ("hang", "once"):
            if kind == "once":
                open("once", "w").close()
            while hear().get("method") != "session/cancel":
                pass
            return "cancelled"
        elif kind == "crash":
            print("it crashed", file=sys.stderr)
            raise SystemExit(3)
    return "end_turn"


def note(kind: str, text: str) -> None:
    if "SEEN" in os.environ:
        with open(os.environ["SEEN"], "a") as file:
            file.write(json.dumps([kind, text]) + "\n")


def main() -> None:
    if "--usage" in sys.argv:
        print("usage: acp_agent [--acp]", file=sys.stderr)
        raise SystemExit(2)
    while True:
        heard = hear()
        method, number = heard.get("method"), heard.get("id")
        if method == "initialize":
            say({"id": number, "result": {"protocolVersion": 1, "agentCapabilities": {}}})
        elif method == "session/new":
            say({"id": number, "result": {"sessionId": "s", "modes": MODES}})
        elif method == "session/set_mode" and heard["params"]["modeId"] == "root":
            say({"id": number, "error": {"code": -32603, "message": "not as root"}})
        elif method == "session/set_mode":
            say({"id": number, "result": {}})
        elif method == "session/load" and "FORGETFUL" in os.environ:
            say({"id": number, "error": {"code": -32000, "message": "no such session"}})
        elif method == "session/load":
            note("session", heard["params"]["sessionId"])
            say({"id": number, "result": {}})
        elif method == "session/prompt":
            text = heard["params"]["prompt"][0]["text"]
            note("prompt", text)
            if text.startswith("System: deliverable"):
                text = "log:DONE:_answered"
            if "--do" in sys.argv:
                text = sys.argv[sys.argv.index("--do") + 1]
            say({"id": number, "result": {"stopReason": turn(text)}})


if __name__ == "__main__":
    main()
