"""The common part of the JSON-RPC backends: our requests, their requests, notifications."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from optio_agents.conversation.codecs.base import BackendStartFailed, Codec, Key, Signal
from optio_agents.conversation.values import Event

METHOD_NOT_FOUND = -32601
PARSE_ERROR = -32700

LOST_ID = re.compile(r'"id": ?(-?\d{1,18}|"[^"\\]{1,200}")')
"""The id of a record of which only a part is left."""

CLIENT_INFO = {"name": "optio-agents", "title": "optio-agents", "version": "1"}
"""Who we say we are in `initialize`."""

Out = list[Event | Signal]
OnReply = Callable[[Any, "RpcError | None", dict[str, Any], Out], None]
"""What a request does with its reply: (result, error, the whole record, out). It adds the event itself."""


class RpcError:
    """The `error` of a reply."""

    def __init__(self, error: object) -> None:
        fields = error if isinstance(error, dict) else {}
        self.code = fields.get("code")
        self.message = str(fields.get("message", error))
        data = fields.get("data")
        detail = data.get("details") if isinstance(data, dict) else data
        if isinstance(detail, str) and detail not in self.message:
            self.message += f" ({detail})"


class JsonRpcCodec(Codec):
    """A codec over JSON-RPC. The ids of the two sides are independent, so they are kept separately."""

    envelope: ClassVar[dict[str, Any]] = {"jsonrpc": "2.0"}

    def __init__(self) -> None:
        super().__init__()
        self._next_id = 0
        self._replies: dict[int, OnReply] = {}

    def _request(self, method: str, params: dict[str, Any], on_reply: OnReply) -> None:
        self._next_id += 1
        self._replies[self._next_id] = on_reply
        self._write({**self.envelope, "id": self._next_id, "method": method, "params": params})

    def _request_to_start(
        self, method: str, params: dict[str, Any], on_result: Callable[[Any, Out], None]
    ) -> None:
        """A request before the first turn: without its result there is no conversation."""

        def replied(result: Any, error: RpcError | None, record: dict[str, Any], out: Out) -> None:
            out.append(Event(record))
            if error is None:
                on_result(result, out)
            else:
                out.append(BackendStartFailed(error.message))

        self._request(method, params, replied)

    def _notify(self, method: str, params: dict[str, Any] | None = None) -> None:
        body = {} if params is None else {"params": params}
        self._write({**self.envelope, "method": method, **body})

    def _reply(self, key: Key, result: dict[str, Any]) -> None:
        self._write({**self.envelope, "id": key, "result": result})

    def _record(self, record: dict[str, Any], out: Out) -> None:
        method, key = record.get("method"), record.get("id")
        params = record.get("params")
        if isinstance(method, str):
            fields = params if isinstance(params, dict) else {}
            if isinstance(key, str | int) and not isinstance(key, bool):
                self._asked(key, method, fields, record, out)
            else:
                self._told(method, fields, record, out)
            return
        on_reply = self._replies.pop(key, None) if isinstance(key, int) else None
        if on_reply is None:
            out.append(Event(record))
        else:
            error = RpcError(record["error"]) if "error" in record else None
            on_reply(record.get("result"), error, record, out)

    def _lost(self, line: dict[str, Any], out: Out) -> None:
        """Answer a lost request; fail what waits for a lost response."""
        head = str(line.get("line") or "")
        found = LOST_ID.search(head)
        if found is None:
            return
        key: Key = found[1][1:-1] if found[1].startswith('"') else int(found[1])
        message = "the line was too long, or no JSON"
        if '"method"' in head:
            self._write({**self.envelope, "id": key, "error": {"code": PARSE_ERROR, "message": message}})
        elif isinstance(key, int) and (on_reply := self._replies.pop(key, None)) is not None:
            on_reply(None, RpcError({"message": f"its response could not be read: {message}"}), line, out)

    def _decline(self, key: Key, method: str) -> None:
        """Answer a request that we do not serve, so that the backend does not wait for ever."""
        error = {"code": METHOD_NOT_FOUND, "message": f"this client does not serve {method}"}
        self._write({**self.envelope, "id": key, "error": error})

    @abstractmethod
    def _asked(self, key: Key, method: str, params: dict[str, Any], record: dict[str, Any], out: Out) -> None:
        """A request of the backend."""

    @abstractmethod
    def _told(self, method: str, params: dict[str, Any], record: dict[str, Any], out: Out) -> None:
        """A notification of the backend."""
