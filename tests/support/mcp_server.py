"""A server of the Model Context Protocol on stdio, with two tools: `echo` gives back its text, `ask` elicits a colour.

Standard library only: an agent starts it as its own child.
"""

from __future__ import annotations

import json
import sys
from typing import Any

Record = dict[str, Any]

SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}}
TOOLS = [{"name": name, "description": name, "inputSchema": SCHEMA} for name in ("echo", "ask")]
COLOUR = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": ["red", "green"]}},
    "required": ["colour"],
}


def say(**record: Any) -> None:
    print(json.dumps({"jsonrpc": "2.0", **record}), flush=True)


def hear() -> Record:
    line = sys.stdin.readline()
    if not line:
        raise SystemExit(0)
    record: Record = json.loads(line)
    return record


def elicited() -> str:
    """What the client's user chose."""
    say(id="e1", method="elicitation/create", params={"message": "Which colour?", "requestedSchema": COLOUR})
    while (heard := hear()).get("id") != "e1":
        pass
    result = heard.get("result") or {"action": f"error {heard.get('error')}"}
    return f"{result['action']} {json.dumps(result.get('content'))}"


def main() -> None:
    while True:
        heard = hear()
        method, params = heard.get("method"), heard.get("params") or {}
        if "id" not in heard or method is None:
            continue
        if method == "initialize":
            info = {"name": "el", "version": "1"}
            say(
                id=heard["id"],
                result={
                    "protocolVersion": params["protocolVersion"],
                    "capabilities": {"tools": {}},
                    "serverInfo": info,
                },
            )
        elif method == "tools/list":
            say(id=heard["id"], result={"tools": TOOLS})
        elif method == "tools/call":
            text = elicited() if params["name"] == "ask" else f"echo {params['arguments'].get('text')}"
            say(id=heard["id"], result={"content": [{"type": "text", "text": text}]})
        else:
            say(id=heard["id"], error={"code": -32601, "message": "Method not found"})


if __name__ == "__main__":
    main()
