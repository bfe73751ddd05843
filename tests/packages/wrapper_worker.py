"""A worker that runs a published agent package with a real agent, and reports what happened.

A program of its own, run by the Python of the packages' environment inside the namespace of a fake API:
`wrapper_worker.py PACKAGE MONGO_URL API_URL DIRECTORY INSTALL_DIR`. It prints `{"stage": "delivered"}`, waits for a
line on its stdin, and in the end prints its report, a JSON object. It knows the packages by their published surface
only.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient
from optio_core.lifecycle import Optio

from optio_agents import Conversation, PermissionDecision, PermissionRequest

HANG = 120.0
PREFIX = "test"
PROCESS = "agent"

CODEX_CONFIG = """
model = "gpt-5-codex"
model_provider = "fake"
check_for_update_on_startup = false
[model_providers.fake]
name = "fake"
base_url = "{api}/v1"
wire_api = "responses"
env_key = "FAKE_API_KEY"
request_max_retries = 1
stream_max_retries = 1
[analytics]
enabled = false
"""


def bash(command: str) -> str:
    """A directive of the fake API: the agent's model calls its shell tool."""
    return f"[[tool Bash {json.dumps({'command': command, 'description': 'd'})}]]"


def codex_shell(command: str) -> str:
    """Outside of codex's sandbox, for which the package lets it ask."""
    given = {"cmd": command, "sandbox_permissions": "require_escalated", "justification": "to test"}
    return f"[[tool exec_command {json.dumps(given)}]]"


class Scenario:
    """One task of one package, launched, cancelled and resumed."""

    def __init__(self, package: str, api: str, install_dir: str) -> None:
        self.package = package
        self.api = api
        self.install_dir = install_dir
        self.delivered: list[list[str]] = []
        self.asked: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.messages: list[str] = []
        self.changed = asyncio.Event()

    def tool(self, command: str) -> str:
        return bash(command) if self.package == "claudecode" else codex_shell(command)

    def task(self) -> Any:
        shared: dict[str, Any] = {
            "consumer_instructions": "Talk with the user.",
            "fs_isolation": False,
            "mode": "conversation",
            "install_if_missing": False,
            "install_dir": self.install_dir,
            "permission_gate": True,
            "on_deliverable": self.on_deliverable,
        }
        if self.package == "claudecode":
            from optio_claudecode import ClaudeCodeTaskConfig, create_claudecode_task

            credentials = {
                "claudeAiOauth": {"accessToken": "sk-test", "expiresAt": 4102444800000, "scopes": []}
            }
            environment = {
                "ANTHROPIC_BASE_URL": self.api,
                "ANTHROPIC_API_KEY": "sk-test",
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                "CLAUDE_CODE_MAX_RETRIES": "1",
                "DISABLE_TELEMETRY": "1",
            }
            config = ClaudeCodeTaskConfig(credentials_json=credentials, env=environment, **shared)
            return create_claudecode_task(PROCESS, "Agent", config)
        from optio_codex import CodexTaskConfig, create_codex_task

        config = CodexTaskConfig(
            env={"FAKE_API_KEY": "sk-test", "OPENAI_API_KEY": "sk-test"},
            ask_for_approval="untrusted",
            sandbox="workspace-write",
            before_execute=self.configure_codex,
            **shared,
        )
        return create_codex_task(PROCESS, "Agent", config)

    async def configure_codex(self, hook_ctx: Any) -> None:
        text = CODEX_CONFIG.format(api=self.api)
        await hook_ctx.copy_file(text.encode(), "home/.codex/config.toml")

    async def on_deliverable(self, hook_ctx: Any, path: str, text: str) -> None:
        self.delivered.append([path, text])
        self.changed.set()

    async def on_permission(self, request: PermissionRequest) -> PermissionDecision:
        shown = json.dumps(request.input)
        self.asked.append(shown)
        return PermissionDecision("deny" if "forbidden" in shown else "allow")

    def on_event(self, event: dict[str, Any]) -> None:
        self.events.append(event)

    async def until(self, holds: Any) -> None:
        while not holds():
            self.changed.clear()
            await self.changed.wait()

    def on_message(self, text: str) -> None:
        self.messages.append(text)
        self.changed.set()


async def turn(scenario: Scenario, conversation: Any, text: str, answer: str) -> None:
    """Send a message and wait for its answer."""
    await conversation.send(f"{text}[[say {answer}]]")
    await scenario.until(lambda: any(answer in message for message in scenario.messages))


async def run(package: str, mongo_url: str, api: str, directory: str, install_dir: str) -> dict[str, Any]:
    scenario = Scenario(package, api, install_dir)
    client: Any = AsyncIOMotorClient(mongo_url)
    database = client["wrapper"]

    async def definitions(services: Any, metadata_filter: Any) -> list[Any]:
        return [scenario.task()]

    async def row() -> dict[str, Any]:
        found: dict[str, Any] = await database[f"{PREFIX}_processes"].find_one({"processId": PROCESS})
        return found

    async def until_ended() -> str:
        while (state := (await row())["status"]["state"]) not in ("done", "failed", "cancelled"):
            await asyncio.sleep(0.05)
        return str(state)

    async def launch(*, resume: bool = False) -> Any:
        scenario.events.clear()
        conversation = await optio.launch_and_await_result(PROCESS, resume=resume, session_id=None)
        assert isinstance(conversation, Conversation)
        conversation.on_event(scenario.on_event)
        conversation.on_message(scenario.on_message)
        conversation.on_permission_request(scenario.on_permission)
        return conversation

    optio = Optio()
    await optio.init(mongo_db=database, prefix=PREFIX, get_task_definitions=definitions)
    running = asyncio.create_task(optio.run())
    report: dict[str, Any] = {}
    try:
        while optio._supervisor_task is None:
            await asyncio.sleep(0.01)
        async with asyncio.timeout(HANG):
            conversation = await launch()
            await turn(scenario, conversation, scenario.tool("touch allowed"), "word-one")
            await turn(scenario, conversation, scenario.tool("touch forbidden"), "word-two")
            deliver = "echo hi > deliverables/a.txt && echo 'DELIVERABLE: deliverables/a.txt' >> optio.log"
            await turn(scenario, conversation, scenario.tool(deliver), "word-three")
            await scenario.until(lambda: bool(scenario.delivered))
            print(json.dumps({"stage": "delivered"}), flush=True)
            await asyncio.to_thread(sys.stdin.readline)  # the reply has reached the agent
            [workdir] = Path(directory).rglob("workdir/allowed")
            report["made"] = sorted(each.name for each in workdir.parent.iterdir() if each.is_file())
            await optio.cancel(PROCESS)
            report["first end"] = await until_ended()
            report["saved"] = bool((await row()).get("hasSavedState"))
            report["closed"] = conversation.closed

            conversation = await launch(resume=True)
            await turn(scenario, conversation, scenario.tool("ls > listing; cat listing"), "word-four")
            [listing] = Path(directory).rglob("workdir/listing")
            report["found"] = listing.read_text().split()
            await conversation.send(scenario.tool("echo 'DONE: enough' >> optio.log"))
            report["second end"] = await until_ended()
    except BaseException as error:
        report["error"] = repr(error)
    finally:
        last = await row()
        report.update(
            status=last["status"]["error"],
            log=[entry["message"] for entry in last.get("log", [])],
            delivered=scenario.delivered,
            asked=scenario.asked,
            events=[json.dumps(event)[:300] for event in scenario.events[-12:]] if "error" in report else [],
        )
        await optio.shutdown(grace_seconds=10.0)
        await running
        client.close()
    return report


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(*sys.argv[1:]))))
