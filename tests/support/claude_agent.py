"""A program that speaks as Claude Code does (stream-json, measured with 2.1.330) and does what its prompts say.

A prompt is a JSON list of steps, each a list: `["text", TEXT]`, `["ask", TOOL, INPUT]`, `["question"]`, `["plan",
TEXT]`, `["stream", TEXT, ...]` writes a text in these pieces, `["tool", NAME, INPUT]` uses a tool, `["file", PATH,
TEXT]` writes a file, `["answer", DATA]` gives a structured answer, `["call", SERVER, TOOL, INPUT]` calls a tool of an
MCP server and says its result, `["log", LINE]` appends to optio.log, `["flood", N]` prints N texts, `["hang"]` waits
for an interrupt, `["later", [STEP, ...]]` leaves work in the background whose end begins a turn with these steps once
this turn has ended. Any other prompt is looked up in $CLAUDE_AGENT_SCRIPT (JSON: prompt to steps), or said again. Of
a prompt with the documentation of the log protocol, only what follows `## Your task` is done. With
`--replay-user-messages` it says each prompt that it takes up. With `--fail TEXT` it writes TEXT to stderr and ends.
Standard library only.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
import uuid
from typing import Any

Record = dict[str, Any]

OPTIONS = [{"label": "Postgres", "description": "a"}, {"label": "SQLite", "description": "b"}]
QUESTIONS = [{"question": "Which db?", "header": "DB", "multiSelect": False, "options": OPTIONS}]
SESSION = os.environ.get("CLAUDE_AGENT_SESSION", "s1")
SCRIPT: dict[str, list[Any]] = json.loads(os.environ.get("CLAUDE_AGENT_SCRIPT", "{}"))
MODELS = [
    {"value": "default", "resolvedModel": "big-5", "supportedEffortLevels": ["low", "high"]},
    {"value": "small", "resolvedModel": "small-5"},
]
LATER_SECONDS = 0.3
"""How long work in the background takes."""

servers: dict[str, Record] = {}
"""The MCP servers that it was told of, by name."""

messages: queue.Queue[Record | None] = queue.Queue()
answers: dict[str, Any] = {}
changed = threading.Condition()
interrupted = threading.Event()


def say(**record: Any) -> None:
    print(json.dumps({**record, "session_id": SESSION}), flush=True)


def read() -> None:
    """The reader's thread."""
    for line in sys.stdin:
        heard = json.loads(line)
        if heard["type"] == "control_response":
            with changed:
                answers[heard["response"]["request_id"]] = heard["response"]
                changed.notify_all()
        elif heard["type"] == "control_request":
            if heard["request"]["subtype"] == "interrupt":
                interrupted.set()
            response = {"request_id": heard["request_id"], **answered(heard["request"])}
            say(type="control_response", response=response)
        else:
            say(type="command_lifecycle", command_uuid=heard["uuid"], state="queued")
            messages.put(heard)
    messages.put(None)


def answered(request: Record) -> Record:
    """The answer to a control request: its models, its settings, or that a control was set."""
    told: Record = {}
    if request["subtype"] == "initialize":
        told = {"models": MODELS, "current_permission_mode": "default"}
    elif request["subtype"] == "get_settings":
        told = {"applied": {"model": "big-5", "effort": "low"}}
    elif request["subtype"] == "mcp_set_servers":
        servers.update(request["servers"])
    elif request.get("mode") == "bypassPermissions":
        return {"subtype": "error", "error": "not started with --dangerously-skip-permissions"}
    return {"subtype": "success", "response": told}


def asked(key: str, tool: str, given: Record, **more: Any) -> Record:
    """Ask, and wait for the answer."""
    request = {"subtype": "can_use_tool", "tool_name": tool, "input": given, "tool_use_id": key, **more}
    say(type="control_request", request_id=key, request=request)
    with changed:
        changed.wait_for(lambda: key in answers)
    response: Record = answers.pop(key)
    return response.get("response") or response


class Turn:
    """One turn: of a message, or (without one) of its own."""

    def __init__(self, name: str | None) -> None:
        self._names: Record = {"user_message_uuids": [name]} if name else {}
        self._name = name
        self._said = ""
        self._more: Record = {}
        self.later: list[Any] = []

    def run(self, steps: list[list[Any]]) -> None:
        interrupted.clear()
        if self._name:
            say(type="command_lifecycle", command_uuid=self._name, state="started")
        say(type="system", subtype="init", tools=[], **self._names)
        for kind, *rest in steps:
            getattr(self, f"_{kind}")(*rest)
        whose = self._names or {"origin": {"kind": "task-notification"}}
        stopped = interrupted.is_set()
        ending = {"terminal_reason": "aborted_tools", "is_error": True} if stopped else {"is_error": False}
        say(
            type="result",
            subtype="success",
            result=self._said,
            **{"terminal_reason": "completed", **ending},
            **whose,
            **self._more,
        )
        if self._name:
            say(type="command_lifecycle", command_uuid=self._name, state="completed")

    def _block(self, **block: Any) -> None:
        message = {"id": uuid.uuid4().hex, "role": "assistant", "content": [block]}
        say(type="assistant", message=message, parent_tool_use_id=None, **self._names)

    def _text(self, text: str) -> None:
        self._said = text
        self._block(type="text", text=text)

    def _stream(self, *pieces: str) -> None:
        for piece in pieces:
            delta = {"type": "text_delta", "text": piece}
            say(type="stream_event", event={"type": "content_block_delta", "index": 0, "delta": delta})
        self._text("".join(pieces))

    def _tool(self, name: str, given: Record) -> None:
        self._block(type="tool_use", id=uuid.uuid4().hex, name=name, input=given)

    def _file(self, path: str, text: str) -> None:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path, "w") as file:
            file.write(text)

    def _ask(self, tool: str, given: Record) -> None:
        rules = [{"toolName": tool, "ruleContent": "touch *"}]
        rule = {"type": "addRules", "rules": rules, "behavior": "allow", "destination": "localSettings"}
        answer = asked(uuid.uuid4().hex, tool, given, permission_suggestions=[rule])
        self._text(json.dumps(answer))

    def _question(self) -> None:
        self._text(json.dumps(asked(uuid.uuid4().hex, "AskUserQuestion", {"questions": QUESTIONS})))

    def _plan(self, plan: str) -> None:
        key = uuid.uuid4().hex
        self._block(type="tool_use", id=key, name="ExitPlanMode", input={"plan": plan})
        self._text(json.dumps(asked(key, "ExitPlanMode", {})))

    def _answer(self, data: Record) -> None:
        self._more = {"structured_output": data}

    def _call(self, server: str, tool: str, given: Record) -> None:
        command = [servers[server]["command"], *servers[server]["args"]]
        client = {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "c", "version": "1"},
        }
        requests = [("initialize", client), ("tools/call", {"name": tool, "arguments": given})]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
            assert program.stdin is not None
            assert program.stdout is not None
            for number, (method, params) in enumerate(requests):
                record = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
                print(json.dumps(record), file=program.stdin, flush=True)
                result = json.loads(program.stdout.readline())["result"]
            program.stdin.close()
        self._text(result["content"][0]["text"])

    def _log(self, line: str) -> None:
        with open("optio.log", "a") as log:
            log.write(line + "\n")

    def _flood(self, count: int) -> None:
        for _ in range(count):
            self._text("f" * 200)

    def _hang(self) -> None:
        interrupted.wait()

    def _later(self, steps: list[Any]) -> None:
        self.later = steps
        tasks = [{"task_id": "b1", "task_type": "local_bash", "description": "the build"}]
        say(type="system", subtype="background_tasks_changed", tasks=tasks)


def main() -> None:
    if "--fail" in sys.argv:
        sys.stderr.write(sys.argv[sys.argv.index("--fail") + 1])
        raise SystemExit(1)
    threading.Thread(target=read, daemon=True).start()
    while (message := messages.get()) is not None:
        if "--replay-user-messages" in sys.argv:
            say(**message, isReplay=True)
        text = message["message"]["content"][-1]["text"].rpartition("## Your task\n\n")[2].strip()
        try:
            steps = SCRIPT[text] if text in SCRIPT else json.loads(text)
        except ValueError:
            steps = [["text", text]]
        turn = Turn(message["uuid"])
        turn.run(steps)
        while turn.later:
            time.sleep(LATER_SECONDS)
            say(type="system", subtype="background_tasks_changed", tasks=[])
            steps = turn.later
            turn = Turn(None)
            turn.run(steps)
    # It ends on its own, independent of its reader.
    os._exit(0)


if __name__ == "__main__":
    main()
