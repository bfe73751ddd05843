"""The names and shapes that existing task packages import, the private ones they rely on included."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import pytest

NAMES = {
    "optio_agents": """
        HookContext HookContextProtocol SYSTEM_MESSAGE_PREFIX Conversation ConversationClosed PermissionDecision
        PermissionRequest run_log_protocol_session fetch_deliverable_text AgentSender DeliverableCallback
        CallerMessageCallback HookCallback DELIVERABLE_QUEUE_BOUND CALLER_MESSAGE_QUEUE_BOUND parse_log_line
        DeliverableEvent DoneEvent ErrorEvent LogEvent StatusEvent UnknownLine validate_deliverable_path
        relativize_deliverable_path get_protocol Protocol ProtocolFeatures BrowserMode RESUME_NOTICE
        build_log_channel_prompt LOG_CHANNEL_PROMPT browser_shims
    """,
    "optio_agents.protocol": """
        run_log_protocol_session fetch_deliverable_text DeliverableCallback CallerMessageCallback HookCallback
        DELIVERABLE_QUEUE_BOUND CALLER_MESSAGE_QUEUE_BOUND parse_log_line DeliverableEvent DoneEvent ErrorEvent LogEvent
        StatusEvent UnknownLine BrowserEvent AttentionEvent ClientMessageEvent CallerMessageEvent
        validate_deliverable_path relativize_deliverable_path get_protocol Protocol ProtocolFeatures BrowserMode
        RESUME_NOTICE build_log_channel_prompt LOG_CHANNEL_PROMPT
    """,
    "optio_agents.protocol.parser": """
        StatusEvent DeliverableEvent DoneEvent ErrorEvent BrowserEvent AttentionEvent ClientMessageEvent
        CallerMessageEvent UnknownLine LogEvent parse_log_line validate_deliverable_path relativize_deliverable_path
        DELIVERABLES_SUBDIR
    """,
    "optio_agents.protocol.session": """
        run_log_protocol_session fetch_deliverable_text DeliverableCallback CallerMessageCallback HookCallback
        AgentSender DELIVERABLE_QUEUE_BOUND CALLER_MESSAGE_QUEUE_BOUND SessionFailed _SessionFailed
    """,
    "optio_agents.protocol.features": "ProtocolFeatures",
    "optio_agents.protocol.prompt": "build_log_channel_prompt RESUME_NOTICE LOG_CHANNEL_PROMPT",
    "optio_agents.protocol.protocol": "Protocol get_protocol BrowserMode",
    "optio_agents.context": """
        HookContext HookContextProtocol SYSTEM_MESSAGE_PREFIX create_download_task HostCommandError RunResult
    """,
    "optio_agents.conversation": "Conversation PermissionRequest PermissionDecision ConversationClosed",
    "optio_agents.text": "Text check_text resolve_text",
    "optio_agents.agent_info": "AgentInfo",
    "optio_agents.account": """
        AccountInfo UsageWindow EMPTY is_limited any_usable accounts_to_metadata accounts_from_metadata
        account_dicts_from_metadata
    """,
    "optio_agents.config_types": """
        AllowedDir BlobCryptoConfigMixin ClaustrumConfigMixin ConversationMode ResumeConfigMixin SeedProvider
        SeedUnavailableError SessionControlsConfigMixin TOOL_VERBOSITIES ThinkingVerbosity ToolVerbosity WelcomeCard
        WelcomeConfigMixin
    """,
    "optio_agents.custom_controls": """
        ControlSettings CustomControl CustomControlsConfigMixin CustomOption KNOWN_PERMISSION_MODES
        KNOWN_REASONING_EFFORTS SETTING_KEYS
    """,
    "optio_agents.session_controls": """
        ControlKind ControlOption EFFORT_DESCRIPTION MODEL_DESCRIPTION SINGLE_OPTION_REASON SessionControl
        control_allowed effort_control filter_controls model_control validate_session_controls
    """,
    "optio_agents.mcp": "McpConfigMixin McpServer McpServersProvider resolve_mcp_servers",
    "optio_agents.fs_grants": "BASELINE build_grant_flags fs_isolation_dirs",
    "optio_agents.claustrum": """
        CLAUSTRUM_PINNED_TAG CLAUSTRUM_REPO build_claustrum_on_engine build_claustrum_wrap claustrum_works
        detect_goarch emit_claustrum_update_notice ensure_claustrum_installed is_elf
    """,
    "optio_agents.tmux_input": "NAV_KEYS send_key_to_tmux send_text_to_tmux",
    "optio_agents.input_listener": "serialized start_input_listener",
    "optio_agents.pane_surfacing": """
        ANSI_STRIP_SED error_tail_snippet mkdir_pane_dir_cmd pane_log_path pipe_pane_cmd
    """,
    "optio_agents.prompt": """
        AgentPromptProfile BASE_PROMPT_POST DEFAULT_CONVERSATION_INSTRUCTIONS compose_instructions_file
        downloadables_block render_resume_section
    """,
    "optio_agents.uploads": "UploadCallback materialize safe_upload_relpath upload_url_token",
    "optio_agents.seeds": """
        SeedManifest acquire assign_to_pool capture_seed declare_metadata delete_seed insert_seed list_pool list_seeds
        load_seed mark_seed_status merge_seed overwrite_seed_member plant_seed purge_seed reap_expired_leases
        refresh_seed release renew_lease update_seed_blob
    """,
    "optio_agents.model_probe": """
        PROBE_CACHE_TTL PROBE_QUESTION apply_probe disabled_map load_probe_cache probe_cache_key probe_models
        run_probe_child save_probe_cache
    """,
    "optio_agents.todos": """
        TODO_FILENAME TODO_TOOL_NAMES TodoFieldPatch TodoItem TodoProgress TodoTracker TodoUpdate assign_ids
        extract_acp_todo normalize_tool_name todo_update_from_payload
    """,
    "optio_agents.steering": """
        BUSY_SEND_VALUES BusySend BusySendDeclaration INTERRUPT_EVENT NATIVE_QUEUE PROMPT_SEPARATOR QUEUED_EVENT
        REQUEUED_EVENT SendOutcome Steering TAKEN_EVENT TURN_END_TIMEOUT_S resolve_busy_send
    """,
}


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in NAMES.items() for name in names.split()]
)
def test_the_name_is_where_callers_import_it_from(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize("name", NAMES["optio_agents.protocol"].split())
def test_a_name_is_the_same_object_wherever_it_is_imported_from(name: str) -> None:
    found = [
        getattr(importlib.import_module(module), name)
        for module, names in NAMES.items()
        if name in names.split()
    ]
    assert all(each is found[0] for each in found)


@pytest.mark.parametrize("module", [module for module in NAMES if module != "optio_agents.context"])
def test_what_is_listed_as_public_exists(module: str) -> None:
    loaded = importlib.import_module(module)
    for name in getattr(loaded, "__all__", ()):
        assert hasattr(loaded, name), name


def test_constants() -> None:
    context = importlib.import_module("optio_agents.context")
    session = importlib.import_module("optio_agents.protocol.session")
    parser = importlib.import_module("optio_agents.protocol.parser")
    prompt = importlib.import_module("optio_agents.protocol.prompt")
    assert context.SYSTEM_MESSAGE_PREFIX == "System: "
    assert session.DELIVERABLE_QUEUE_BOUND == session.CALLER_MESSAGE_QUEUE_BOUND == 64
    assert parser.DELIVERABLES_SUBDIR == "deliverables"
    assert prompt.RESUME_NOTICE == "you have been resumed"


def test_the_failure_s_private_name_is_the_same_class() -> None:
    session = importlib.import_module("optio_agents.protocol.session")
    assert session._SessionFailed is session.SessionFailed
    assert issubclass(session._SessionFailed, Exception)


EMPTY = inspect.Parameter.empty

PUBLISHED: dict[str, list[tuple[str, str, Any]]] = {
    # name, kind (p: positional, k: keyword-only), default; as the published package's `inspect.signature` shows them
    "optio_agents.run_log_protocol_session": [
        ("host", "p", EMPTY),
        ("ctx", "p", EMPTY),
        ("body", "k", EMPTY),
        ("on_deliverable", "k", None),
        ("on_caller_message", "k", None),
        ("before_execute", "k", None),
        ("after_execute", "k", None),
        ("protocol", "k", None),
        ("browser_url_rewrite", "k", None),
        ("agent_sender", "k", None),
        ("prepare", "k", None),
        ("keywords", "k", True),
    ],
    "optio_agents.fetch_deliverable_text": [("host", "p", EMPTY), ("absolute_path", "p", EMPTY)],
    "optio_agents.HookContext": [("ctx", "p", EMPTY), ("host", "p", EMPTY)],
    "optio_agents.HookContext.send_to_agent": [("self", "p", EMPTY), ("message", "p", EMPTY)],
    "optio_agents.HookContext.run_on_host": [
        ("self", "p", EMPTY),
        ("command", "p", EMPTY),
        ("check", "k", True),
        ("capture_stderr", "k", False),
        ("cwd", "k", None),
    ],
    "optio_agents.HookContext.copy_file": [
        ("self", "p", EMPTY),
        ("source", "p", EMPTY),
        ("target", "p", EMPTY),
        ("skip_if_unchanged", "k", False),
    ],
    "optio_agents.HookContext.read_from_host": [
        ("self", "p", EMPTY),
        ("path", "p", EMPTY),
        ("silent", "k", False),
    ],
    "optio_agents.HookContext.read_text_from_host": [
        ("self", "p", EMPTY),
        ("path", "p", EMPTY),
        ("silent", "k", False),
    ],
    "optio_agents.HookContext.download_file": [
        ("self", "p", EMPTY),
        ("url", "p", EMPTY),
        ("target", "p", EMPTY),
        ("description", "k", None),
        ("cleanup_on_fail", "k", True),
    ],
    "optio_agents.get_protocol": [
        ("browser", "k", "ignore"),
        ("client_messages", "k", False),
        ("caller_messages", "k", False),
    ],
}


def _resolve(path: str) -> Callable[..., Any]:
    found: Any = importlib.import_module("optio_agents")
    for name in path.split(".")[1:]:
        found = getattr(found, name)
    return found  # type: ignore[no-any-return]


@pytest.mark.parametrize("path", PUBLISHED)
def test_every_call_that_the_published_package_takes_is_taken(path: str) -> None:
    ours = inspect.signature(_resolve(path)).parameters
    for name, kind, default in PUBLISHED[path]:
        assert name in ours, name
        assert ours[name].default == default, name
        assert (ours[name].kind is inspect.Parameter.KEYWORD_ONLY) is (kind == "k"), name
    published = [name for name, _, _ in PUBLISHED[path]]
    assert [
        name for name in ours if name in published and ours[name].kind is not inspect.Parameter.KEYWORD_ONLY
    ] == [name for name, kind, _ in PUBLISHED[path] if kind == "p"]
    for name, parameter in ours.items():
        assert name in published or parameter.default is not EMPTY, (
            f"{name} would be missing in existing calls"
        )


EVENTS = {
    "StatusEvent": ["percent", "message"],
    "DeliverableEvent": ["path"],
    "DoneEvent": ["summary"],
    "ErrorEvent": ["message"],
    "BrowserEvent": ["url"],
    "AttentionEvent": ["reason"],
    "ClientMessageEvent": ["keyword", "data"],
    "CallerMessageEvent": ["keyword", "data"],
    "UnknownLine": ["text"],
}


@pytest.mark.parametrize("name", EVENTS)
def test_events_are_made_and_compared_by_their_fields(name: str) -> None:
    event = getattr(importlib.import_module("optio_agents.protocol"), name)
    made = event(*range(len(EVENTS[name])))
    assert made == event(**{field: number for number, field in enumerate(EVENTS[name])})
    for number, field in enumerate(EVENTS[name]):
        assert getattr(made, field) == number
    with pytest.raises(AttributeError):
        setattr(made, EVENTS[name][0], "changed")


def test_the_permission_types_have_the_published_shape() -> None:
    conversation = importlib.import_module("optio_agents.conversation")
    assert list(inspect.signature(conversation.PermissionRequest).parameters) == ["tool_name", "input", "raw"]
    decision = conversation.PermissionDecision("allow")
    assert (decision.behavior, decision.updated_input, decision.message) == ("allow", None, None)


@pytest.mark.parametrize(
    "method",
    [
        "send",
        "on_event",
        "on_message",
        "on_permission_request",
        "is_pending",
        "interrupt",
        "set_control",
        "close",
        "closed",
    ],
)
def test_a_conversation_is_told_by_its_methods(method: str) -> None:
    conversation = importlib.import_module("optio_agents.conversation").Conversation
    assert hasattr(conversation, method)
    assert not isinstance(object(), conversation)


def test_the_private_parts_that_wrappers_reach_for() -> None:
    hook_context = _resolve("optio_agents.HookContext")("the ctx", "the host")
    assert hook_context._ctx == "the ctx"
    assert hook_context._host == "the host"
    assert hook_context._agent_sender is None
    assert hook_context.browser_launch_env is None
    hook_context._agent_sender = "a sender"
    assert hook_context._agent_sender == "a sender"


def test_a_protocol_has_what_wrappers_read() -> None:
    get_protocol = _resolve("optio_agents.get_protocol")
    protocol = get_protocol(browser="redirect", caller_messages=True)
    assert protocol.browser == "redirect"
    assert protocol.features.caller_messages
    assert "CALLER_MESSAGE" in protocol.documentation
    assert protocol.parse_log_line("CALLER_MESSAGE: a 1").keyword == "a"
    assert inspect.iscoroutinefunction(protocol.prepare_browser_shims)


def test_importing_the_package_brings_no_database_and_no_ssh() -> None:
    import subprocess
    import sys

    program = (
        "import sys, optio_agents, optio_agents.protocol.session, optio_agents.context\n"
        "print([name for name in ('motor', 'pymongo', 'asyncssh', 'optio_core', 'optio_host') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_published_conversation_takes_an_id_for_a_message() -> None:
    conversation = importlib.import_module("optio_agents.conversation").Conversation
    uuid = inspect.signature(conversation.send).parameters["uuid"]
    assert (uuid.kind, uuid.default) == (inspect.Parameter.KEYWORD_ONLY, None)
