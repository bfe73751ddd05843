"""A model's API that does what the prompt says: the other end of the agents in these tests.

It speaks the dialects that claude (Anthropic Messages), codex (OpenAI Responses), opencode (OpenAI Chat
Completions) and gemini (Gemini) use, streaming as they do. The newest user message that holds directives is the script:

    [[say some words]]        stream these words
    [[wait NAME]]             go on when the test releases NAME
    [[tool NAME {"a": 1}]]    call a tool; what follows comes in the next request, after its result
    [[error 529]]             answer with this HTTP status

A directive may be written ((say some words)), too: within the description of a background task, which comes back in the
message that says that the task has ended.

Nothing but the request decides what is answered, so one server serves any number of agents. It runs as a
program (in a network namespace of its own, where nothing but it can be reached): prints a line with its
port, then one JSON line for each thing that happens; `release NAME` on its stdin releases. It ends with its
stdin.
"""

from __future__ import annotations

import array
import fcntl
import gzip
import html
import json
import re
import socket
import struct
import sys
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DIRECTIVE = re.compile(
    r"\[\[(say|wait|tool|error)\b\s*(.*?)\]\](?!\])|\(\((say|wait|tool|error)\b\s*(.*?)\)\)(?!\))", re.DOTALL
)
WAIT_LIMIT = 300.0
"""Seconds after which a request that is not released is dropped, so that no thread outlives a broken test."""

Step = tuple[str, str]
Json = dict[str, Any]


class Board:
    """What the test hears and says: reports on stdout, releases from stdin."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gates: dict[str, threading.Event] = {}

    def report(self, event: str, **fields: Any) -> None:
        """Print one line."""
        with self._lock:
            print(json.dumps({"event": event, **fields}), flush=True)

    def gate(self, name: str) -> threading.Event:
        """The gate of that name, closed at first."""
        with self._lock:
            return self._gates.setdefault(name, threading.Event())


BOARD = Board()


def script(said: list[tuple[str, str]]) -> list[Step]:
    """What to do in this request. `said` is the dialogue: (user or result, text) pairs, the oldest first."""
    calls: list[list[Step]] = []
    results: list[str] = []
    for who, text in said:
        if who == "result":
            results.append(text)
            continue
        # What comes back in a message of the agent's own may be escaped like XML.
        steps: list[Step] = [(a or c, b or d) for a, b, c, d in DIRECTIVE.findall(html.unescape(text))]
        if steps:
            results = []
            calls = [[]]
            for step in steps:
                calls[-1].append(step)
                if step[0] == "tool":
                    calls.append([])
    call = calls[len(results)] if len(results) < len(calls) else []
    if not call:
        call = [("say", f"done: {results[-1][-200:]}" if results else "ok")]
    return call


def newest(said: list[tuple[str, str]]) -> str:
    """The end of the newest thing that the user said: where a test looks whether a message has arrived."""
    users = [text for who, text in said if who == "user"]
    return users[-1][-300:] if users else ""


def newest_result(said: list[tuple[str, str]]) -> str:
    """The newest result of a tool; a long one without its middle."""
    results = [text for who, text in said if who == "result"]
    result = results[-1] if results else ""
    return result if len(result) < 2000 else result[:1000] + result[-1000:]


def flatten(content: object) -> str:
    """The text of a content, in the format of any of the APIs."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(flatten(each) for each in content)
    if isinstance(content, dict):
        return flatten(content.get("text") or content.get("content") or content.get("output") or "")
    return ""


def images(value: object) -> Iterator[str]:
    """The images in a request of any dialect, as data URLs, the oldest first; of a long one its beginning."""
    if isinstance(value, list):
        for each in value:
            yield from images(each)
    elif isinstance(value, dict):
        url = value.get("image_url")
        url = url.get("url") if isinstance(url, dict) else url
        inline = value.get("inlineData") or (value.get("source") if value.get("type") == "image" else None)
        if isinstance(url, str):
            yield url[:2000]
        elif isinstance(inline, dict):
            kind = inline.get("mimeType") or inline.get("media_type")
            yield f"data:{kind};base64,{inline.get('data')}"[:2000]
        else:
            for each in value.values():
                yield from images(each)


def answer_schema(body: Json) -> object:
    """The schema that the answer must fit, where a dialect has one: OpenAI's Responses."""
    form = (body.get("text") or {}).get("format") or {}
    return form.get("schema")


class Failure(Exception):  # noqa: N818
    """The script says: answer with this status."""


def _named(tool: str) -> Json:
    """The name of a tool in a function call; NAMESPACE.NAME is one of a namespace."""
    namespace, _, name = tool.rpartition(".")
    return {"name": name, "namespace": namespace} if namespace else {"name": name}


class Handler(BaseHTTPRequestHandler):
    """One connection. Each dialect is a method that turns a request into (event name, event) pairs."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Be quiet: stdout is for reports."""

    def do_HEAD(self) -> None:
        """Some agents check whether the server answers."""
        self._json(200, {})

    def do_GET(self) -> None:
        """Lists of models, and all other requests."""
        self._json(200, {"object": "list", "data": [], "models": [], "has_more": False})

    def do_POST(self) -> None:
        """A model call, or something small beside it."""
        body = self._body()
        path = self.path.partition("?")[0]
        try:
            if path.endswith(("/count_tokens", ":countTokens")):
                self._json(200, {"input_tokens": 10, "totalTokens": 10})
            elif path.endswith("/messages"):
                self._answer("anthropic", self._anthropic(body), stream=bool(body.get("stream")))
            elif path.endswith("/responses"):
                self._answer("openai", self._openai(body), stream=True)
            elif path.endswith("/chat/completions"):
                self._answer("chat", self._chat(body), stream=bool(body.get("stream")))
            elif "enerateContent" in path:
                self._answer("gemini", self._gemini(body), stream="stream" in path)
            else:
                self._json(404, {"error": {"type": "not_found_error", "message": path}})
        except (BrokenPipeError, ConnectionResetError):
            BOARD.report("disconnected", path=path)
            self.close_connection = True

    def _body(self) -> Json:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            data = b""
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            data = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("content-encoding") == "gzip":
            data = gzip.decompress(data)
        body: Json = json.loads(data or b"{}")
        return body

    def _json(self, status: int, value: Json) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _answer(self, dialect: str, events: Iterator[tuple[str, Json]], *, stream: bool) -> None:
        """Stream the events as they come; without `stream`, the last one is the whole answer."""
        try:
            first = next(events)
        except Failure as failure:
            status = int(str(failure))
            BOARD.report("failed", dialect=dialect, status=status)
            error = {"type": "api_error", "message": f"scripted {status}", "code": status}
            self._json(status, {"type": "error", "error": error})
            return
        if not stream:
            *_, (_, last) = [first, *events]
            self._json(200, last)
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self._event(*first)
        for event in events:
            self._event(*event)
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _event(self, name: str, event: Json) -> None:
        head = f"event: {name}\n" if name else ""
        data = f"{head}data: {json.dumps(event)}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _words(self, steps: list[Step]) -> Iterator[str]:
        """The words to stream; waits where the script waits."""
        for kind, argument in steps:
            if kind == "error":
                raise Failure(argument)
            if kind == "wait":
                BOARD.report("waiting", name=argument)
                if not BOARD.gate(argument).wait(WAIT_LIMIT):
                    raise BrokenPipeError
            elif kind == "say":
                yield from re.findall(r"\S+\s*", argument + " ")

    @staticmethod
    def _tool(steps: list[Step]) -> tuple[str, Json] | None:
        kind, argument = steps[-1]
        if kind != "tool":
            return None
        name, _, given = argument.strip().partition(" ")
        return name, json.loads(given or "{}")

    def _report(self, dialect: str, body: Json, steps: list[Step], said: list[tuple[str, str]]) -> None:
        """Tell the test of a model call: also of the model, and of the effort where the dialect has it."""
        named = re.search(r"/models/([^/:]+):", self.path)
        effort = (body.get("output_config") or body.get("reasoning") or {}).get("effort")
        model = body.get("model") or (named and named[1])
        told: Json = {
            "dialect": dialect,
            "steps": steps,
            "newest": newest(said),
            "result": newest_result(said),
        }
        told |= {"images": list(images(body)), "schema": answer_schema(body)}
        BOARD.report("request", **told, model=model, effort=effort)

    # Anthropic Messages.

    def _anthropic(self, body: Json) -> Iterator[tuple[str, Json]]:
        said: list[tuple[str, str]] = []
        for message in body.get("messages", []):
            given = message["content"]
            for block in [{"type": "text", "text": given}] if isinstance(given, str) else given:
                if block.get("type") == "tool_result":
                    said.append(("result", flatten(block.get("content"))))
                elif block.get("type") == "text" and message["role"] != "assistant":
                    said.append(("user", block["text"]))
                elif block.get("type") == "document":
                    source: Json = block["source"]  # type: ignore[assignment]
                    said.append(("user", source["data"] if source["type"] == "text" else ""))
        # Small calls beside the dialogue (a title, a probe) offer no tools: they get something small.
        steps = script(said) if body.get("tools") else [("say", "ok")]
        if body.get("tools"):
            self._report("anthropic", body, steps, said)
        usage = {"input_tokens": 10, "output_tokens": 1}
        message = {
            "id": f"msg_{uuid.uuid4().hex[:20]}",
            "type": "message",
            "role": "assistant",
            "model": body.get("model"),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }
        text, started = "", False
        for word in self._words(steps):
            if not started:
                started = True
                yield "message_start", {"type": "message_start", "message": message}
                start = {"type": "content_block_start", "index": 0}
                yield "content_block_start", {**start, "content_block": {"type": "text", "text": ""}}
            text += word
            delta = {"type": "text_delta", "text": word}
            yield "content_block_delta", {"type": "content_block_delta", "index": 0, "delta": delta}
        content: list[Json] = [{"type": "text", "text": text}] if started else []
        if started:
            yield "content_block_stop", {"type": "content_block_stop", "index": 0}
        else:
            yield "message_start", {"type": "message_start", "message": message}
        tool = self._tool(steps)
        if tool is not None:
            use = {
                "type": "tool_use",
                "id": f"toolu_{uuid.uuid4().hex[:20]}",
                "name": tool[0],
                "input": tool[1],
            }
            index = len(content)
            content.append(use)
            block = {**use, "input": {}}
            yield (
                "content_block_start",
                {"type": "content_block_start", "index": index, "content_block": block},
            )
            delta = {"type": "input_json_delta", "partial_json": json.dumps(tool[1])}
            yield "content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta}
            yield "content_block_stop", {"type": "content_block_stop", "index": index}
        reason = "tool_use" if tool else "end_turn"
        ending = {"stop_reason": reason, "stop_sequence": None}
        yield "message_delta", {"type": "message_delta", "delta": ending, "usage": {"output_tokens": 20}}
        whole = {**message, "content": content, "stop_reason": reason}
        yield "message_stop", {"type": "message_stop"} if body.get("stream") else whole

    # OpenAI Responses.

    def _openai(self, body: Json) -> Iterator[tuple[str, Json]]:
        said: list[tuple[str, str]] = []
        for given in body.get("input", []):
            kind = given.get("type", "message")
            if kind in ("function_call_output", "custom_tool_call_output"):
                said.append(("result", flatten(given.get("output"))))
            elif kind == "message" and given.get("role") == "user":
                said.append(("user", flatten(given.get("content"))))
        steps = script(said)
        self._report("openai", body, steps, said)
        response = {"id": f"resp_{uuid.uuid4().hex[:16]}", "object": "response", "model": body.get("model")}

        def event(kind: str, **fields: Any) -> tuple[str, Json]:
            return kind, {"type": kind, **fields}

        output: list[Json] = []
        text = ""
        item: Json = {
            "id": f"msg_{uuid.uuid4().hex[:12]}",
            "type": "message",
            "role": "assistant",
            "content": [],
        }
        begun = False
        for word in self._words(steps):
            if not begun:
                begun = True
                yield event("response.created", response={**response, "status": "in_progress", "output": []})
                yield event("response.output_item.added", output_index=0, item=item)
            text += word
            yield event(
                "response.output_text.delta", item_id=item["id"], output_index=0, content_index=0, delta=word
            )
        if begun:
            part = {"type": "output_text", "text": text, "annotations": []}
            output.append({**item, "status": "completed", "content": [part]})
            yield event("response.output_item.done", output_index=0, item=output[-1])
        else:
            yield event("response.created", response={**response, "status": "in_progress", "output": []})
        tool = self._tool(steps)
        if tool is not None:
            call = {"id": f"fc_{uuid.uuid4().hex[:12]}", "call_id": f"call_{uuid.uuid4().hex[:12]}"}
            output.append(
                {
                    **call,
                    "type": "function_call",
                    "status": "completed",
                    **_named(tool[0]),
                    "arguments": json.dumps(tool[1]),
                }
            )
            yield event("response.output_item.done", output_index=len(output) - 1, item=output[-1])
        usage = {
            "input_tokens": 10,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 15,
        }
        yield event(
            "response.completed",
            response={**response, "status": "completed", "output": output, "usage": usage},
        )

    # OpenAI Chat Completions.

    def _chat(self, body: Json) -> Iterator[tuple[str, Json]]:
        said: list[tuple[str, str]] = []
        for message in body.get("messages", []):
            if message["role"] in ("user", "tool"):
                who = "user" if message["role"] == "user" else "result"
                said.append((who, flatten(message.get("content"))))
        # The small call that makes up a title offers no tools.
        steps = script(said) if body.get("tools") else [("say", "ok")]
        if body.get("tools"):
            self._report("chat", body, steps, said)
        answer = {"id": f"chatcmpl-{uuid.uuid4().hex[:12]}", "created": 0, "model": body.get("model")}

        def chunk(delta: Json, reason: str | None = None) -> tuple[str, Json]:
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            return "", {**answer, "object": "chat.completion.chunk", "choices": [choice]}

        text = ""
        for word in self._words(steps):
            text += word
            yield chunk({"role": "assistant", "content": word})
        tool = self._tool(steps)
        if tool is not None:
            function = {"name": tool[0], "arguments": json.dumps(tool[1])}
            call = {
                "index": 0,
                "id": f"call_{uuid.uuid4().hex[:12]}",
                "type": "function",
                "function": function,
            }
            yield chunk({"role": "assistant", "tool_calls": [call]})
        reason = "stop" if tool is None else "tool_calls"
        yield chunk({}, reason)
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        whole = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
        choices = [] if body.get("stream") else [whole]
        kind = "chat.completion.chunk" if body.get("stream") else "chat.completion"
        yield "", {**answer, "object": kind, "choices": choices, "usage": usage}

    # Gemini.

    def _gemini(self, body: Json) -> Iterator[tuple[str, Json]]:
        said: list[tuple[str, str]] = []
        for content in body.get("contents", []):
            for part in content.get("parts", []):
                if "functionResponse" in part:
                    said.append(("result", json.dumps(part["functionResponse"].get("response"))))
                elif "text" in part and content.get("role", "user") == "user":
                    said.append(("user", part["text"]))
        settings = body.get("generationConfig") or {}
        schema = settings.get("responseJsonSchema") or settings.get("responseSchema")
        if schema is not None:
            # Its router and its next-speaker check ask for JSON of a shape: anything of that shape will do.
            steps: list[Step] = [("say", json.dumps(example(schema)))]
        else:
            steps = script(said)
            self._report("gemini", body, steps, said)

        def chunk(parts: list[Json], reason: str | None = None) -> tuple[str, Json]:
            candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
            if reason is not None:
                candidate["finishReason"] = reason
            usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
            return "", {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "fake"}

        text = ""
        for word in self._words(steps):
            text += word
            yield chunk([{"text": word}])
        tool = self._tool(steps)
        if tool is not None:
            yield chunk([{"functionCall": {"name": tool[0], "args": tool[1]}}], "STOP")
        else:
            yield chunk([{"text": text if schema is not None else ""}], "STOP")


def example(schema: Json) -> Any:
    """Some value of a JSON schema."""
    if schema.get("enum"):
        return schema["enum"][0]
    kind = str(schema.get("type", "string")).lower()
    if kind == "object":
        return {name: example(inner) for name, inner in schema.get("properties", {}).items()}
    return {"array": [], "number": 1, "integer": 1, "boolean": False}.get(kind, "x")


def raise_loopback() -> None:
    """Bring the loopback interface up: in a fresh network namespace it is down."""
    up, running = 0x1, 0x40
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = array.array("b", struct.pack("16sh", b"lo", up | running).ljust(40, b"\0"))
        fcntl.ioctl(probe, 0x8914, request)  # SIOCSIFFLAGS


def main() -> None:
    """Serve until stdin ends."""
    if "--raise-loopback" in sys.argv:
        raise_loopback()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    for line in sys.stdin:
        word, _, name = line.strip().partition(" ")
        if word == "release":
            BOARD.gate(name).set()


if __name__ == "__main__":
    main()
