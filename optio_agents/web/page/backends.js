// The events of the backends: one function per language. Each returns whether it knew the event.
import { endText, item, piece, short, taken, tool, whole } from "./talk.js";
import { showTodos } from "./todos.js";

function claude(event) {
  switch (event.type) {
    case "stream_event":
      if (event.event?.delta?.type === "text_delta") piece(event.event.delta.text);
      return true;
    case "assistant":
      for (const block of event.message?.content ?? []) {
        if (block.type === "text") whole(block.text);
        else if (block.type === "tool_use" && block.name === "TodoWrite") {
          showTodos((block.input.todos ?? []).map((each) => [each.content, each.status]));
        } else if (block.type === "tool_use") tool(block.name, plainInput(block.input));
      }
      return true;
    case "user":
      if (event.isReplay && !isCommandOutput(event)) taken(textOf(event.message?.content));
      return true;
    case "result":
      endText();
      if (event.is_error && !String(event.terminal_reason).startsWith("aborted")) {
        item("error", short(String(event.result || event.subtype)));
      }
      return true;
    default:
      return ["system", "control_request", "control_response", "command_lifecycle"].includes(event.type);
  }
}

function codex(event) {
  const params = event.params ?? {};
  const made = params.item ?? {};
  switch (event.method) {
    case "item/agentMessage/delta": piece(params.delta); return true;
    case "item/started":
      if (made.type === "commandExecution") tool("$", made.command);
      if (made.type === "mcpToolCall") tool(made.tool, made.arguments);
      if (made.type === "fileChange") tool("edit", (made.changes ?? []).map((each) => each.path).join(", "));
      return true;
    case "item/completed": if (made.type === "agentMessage") whole(made.text); return true;
    case "turn/plan/updated":
      showTodos((params.plan ?? []).map((each) => [each.step, each.status]));
      return true;
    case "turn/completed": endText(); return true;
    case "error": item("error", short(params.error?.message ?? JSON.stringify(params))); return true;
    default: return false;
  }
}

function acp(event) {
  if (event.method !== "session/update") return false;
  const update = event.params?.update ?? {};
  switch (update.sessionUpdate) {
    case "agent_message_chunk": piece(update.content?.text); break;
    case "tool_call": tool(update.title, update.rawInput && plainInput(update.rawInput)); break;
    case "plan": showTodos((update.entries ?? []).map((each) => [each.content, each.status])); break;
  }
  return true;
}

const textOf = (content) =>
  typeof content === "string" ? content : (content ?? []).map((block) => block.text ?? "").join("");

const TELLING = ["command", "file_path", "path", "pattern", "url", "query"];

/** The input of a tool: where one field says it all, only that. */
function plainInput(input) {
  const name = TELLING.find((each) => typeof input?.[each] === "string");
  return name ? input[name] : input;
}

export const isPartial = (event) => event.type === "stream_event" || /(\/delta|Delta)$/.test(event.method ?? "");

export function showBackendEvent(event) {
  return claude(event) || codex(event) || acp(event);
}

/** What Claude Code says about a command or a control that was set: no message of a user. */
function isCommandOutput(event) {
  return textOf(event.message?.content).startsWith("<local-command-");
}
