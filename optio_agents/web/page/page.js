// The page of one conversation: a client of the same routes as optio's dashboard. No framework, no foreign resource.
"use strict";

const $ = (id) => document.getElementById(id);
const talk = $("talk");
let streaming = null; // the item to which pieces of text are added
let streamed = ""; // what has been streamed of the running message

function item(kind, text) {
  const element = document.createElement("li");
  element.className = kind;
  element.textContent = text;
  const atEnd = window.innerHeight + window.scrollY >= document.body.scrollHeight - 80;
  talk.append(element);
  if (atEnd) window.scrollTo(0, document.body.scrollHeight);
  return element;
}

function stream(piece) {
  if (!streaming) { streaming = item("agent", ""); streamed = ""; }
  streamed += piece;
  streaming.textContent = streamed;
}

function whole(text) {
  // The whole text replaces the pieces that were streamed of it.
  if (streaming) streaming.textContent = text; else item("agent", text);
  streaming = null;
}

function endText() { streaming = null; }

const short = (value) => {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text && text.length > 400 ? text.slice(0, 400) + " ..." : text;
};

// One function per language of a backend; each returns whether it knew the event.

function claude(event) {
  if (event.type === "stream_event") {
    const delta = event.event && event.event.delta;
    if (delta && delta.type === "text_delta") stream(delta.text);
    return true;
  }
  if (event.type === "assistant") {
    for (const block of (event.message && event.message.content) || []) {
      if (block.type === "text") whole(block.text);
      if (block.type === "tool_use") { endText(); item("tool", `${block.name} ${short(block.input)}`); }
    }
    return true;
  }
  if (event.type === "result") {
    endText();
    if (event.is_error) item("error", short(event.result || event.subtype));
    return true;
  }
  return ["user", "system", "control_request", "control_response"].includes(event.type);
}

function codex(event) {
  const params = event.params || {};
  const made = params.item || {};
  switch (event.method) {
    case "item/agentMessage/delta": stream(params.delta || ""); return true;
    case "item/started":
      if (made.type === "commandExecution") { endText(); item("tool", short(made.command)); }
      if (made.type === "mcpToolCall") { endText(); item("tool", `${made.tool} ${short(made.arguments)}`); }
      return true;
    case "item/completed": if (made.type === "agentMessage") whole(made.text); return true;
    case "turn/completed": endText(); return true;
    case "error": item("error", short(params.error || params)); return true;
    default: return false;
  }
}

function acp(event) {
  if (event.method !== "session/update") return false;
  const update = (event.params && event.params.update) || {};
  if (update.sessionUpdate === "agent_message_chunk") stream((update.content && update.content.text) || "");
  if (update.sessionUpdate === "tool_call") { endText(); item("tool", `${update.title} ${short(update.rawInput || "")}`); }
  return true;
}

const ours = {
  "x-optio-sent": (event) => { endText(); item("user", event.text); },
  "x-optio-interrupt": () => { endText(); item("note", "interrupted"); },
  "x-optio-permission-answered": (event) => { refresh(); item("note", `permission: ${event.behavior}`); },
  "x-optio-question-answered": () => refresh(),
  "x-optio-closed": (event) => { item("note", `ended: ${event.reason || ""}`); refresh(); },
  "x-optio-progress": (event) => {
    $("progress").hidden = false;
    if (typeof event.percent === "number") $("bar").value = event.percent;
    if (event.message) $("message").textContent = event.message;
  },
  "x-optio-attention": (event) => { $("attention").hidden = false; $("attention").textContent = event.reason; },
  "x-optio-deliverable": (event) => {
    $("files").hidden = false;
    const entry = document.createElement("li");
    const name = `${event.path}${event.accepted ? "" : " (rejected)"}`;
    if (event.accepted) {
      const link = document.createElement("a");
      link.href = `download?path=${encodeURIComponent("deliverables/" + event.path)}`;
      link.textContent = name;
      entry.append(link);
    } else entry.textContent = name;
    $("list").append(entry);
  },
  "x-optio-ended": (event) => { item(event.exit_code ? "error" : "note", event.text); },
};

function show(event) {
  const own = ours[event.type];
  if (own) own(event);
  else if (claude(event) || codex(event) || acp(event)) { /* shown */ }
  later();
}

// The state beside the events: fetched after events, at most a few times a second.

let waiting = null;
function later() { if (!waiting) waiting = setTimeout(() => { waiting = null; refresh(); }, 150); }

async function refresh() {
  let state;
  try { state = await (await fetch("state")).json(); } catch { return; }
  $("agent").textContent = state.agent;
  document.title = `${state.agent}: ${state.state}`;
  $("state").textContent = state.closed ? "ended" : state.state + (state.queued.length ? `, ${state.queued.length} queued` : "");
  $("interrupt").disabled = !["running", "awaiting permission"].includes(state.state);
  $("send").disabled = $("text").disabled = state.state === "closed";
  if (state.state === "idle" || state.state === "closed") endText();
  const open = new Map();
  for (const request of state.permissions) open.set("p" + request.request_id, () => permissionCard(request));
  for (const question of state.questions) open.set("q" + question.request_id, () => questionCard(question));
  for (const card of [...$("requests").children]) if (!open.has(card.dataset.key)) card.remove();
  const shown = new Set([...$("requests").children].map((card) => card.dataset.key));
  for (const [key, make] of open) {
    if (shown.has(key)) continue;
    const card = make();
    card.dataset.key = key;
    $("requests").append(card);
    card.scrollIntoView({ block: "nearest" });
  }
}

async function post(route, body) {
  const answer = await fetch(route, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
  });
  const result = await answer.json().catch(() => ({}));
  if (!answer.ok) item("error", `${route}: ${result.reason || answer.status}`);
  later();
  return result;
}

function button(text, kind, action) {
  const element = document.createElement("button");
  element.type = "button";
  element.className = kind;
  element.textContent = text;
  element.addEventListener("click", () => { element.disabled = true; action(); });
  return element;
}

function card(title, asker) {
  const element = document.createElement("section");
  element.className = "card";
  const head = document.createElement("h2");
  head.textContent = asker ? `${title} (${asker})` : title;
  element.append(head);
  return element;
}

function permissionCard(request) {
  const element = card(`May it use ${request.tool}?`, request.asker);
  const input = document.createElement("pre");
  input.textContent = Object.entries(request.input)
    .map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`).join("\n");
  const actions = document.createElement("div");
  actions.className = "actions";
  const decide = (behavior, scope) =>
    post("permission", { request_id: request.request_id, behavior, ...(scope ? { scope } : {}) });
  actions.append(button("Allow", "allow", () => decide("allow")));
  if (request.scopes.includes("session")) actions.append(button("Allow for the session", "allow", () => decide("allow", "session")));
  actions.append(button("Deny", "deny", () => decide("deny")));
  element.append(input, actions);
  return element;
}

function questionCard(request) {
  const element = card(request.kind === "plan" ? "A plan" : "A question", request.asker);
  if (request.message) {
    const message = document.createElement("pre");
    message.textContent = request.message;
    element.append(message);
  }
  const fields = new Map();
  for (const question of request.questions) {
    const label = document.createElement("label");
    label.textContent = (question.header ? `${question.header}: ` : "") + question.text;
    const input = document.createElement("input");
    if (question.secret) input.type = "password";
    if (question.choices.length) {
      const list = document.createElement("datalist");
      list.id = `choices-${request.request_id}-${question.key}`;
      for (const choice of question.choices) {
        const option = document.createElement("option");
        option.value = choice.label;
        option.label = choice.description;
        list.append(option);
      }
      input.setAttribute("list", list.id);
      input.placeholder = question.choices.map((choice) => choice.label).join(" / ");
      label.append(list);
    }
    label.append(input);
    fields.set(question, input);
    element.append(label);
  }
  const actions = document.createElement("div");
  actions.className = "actions";
  actions.append(button("Answer", "allow", async () => {
    const answers = {};
    for (const [question, input] of fields) {
      if (input.value) answers[question.key] = question.multiple ? input.value.split(",").map((each) => each.trim()) : input.value;
    }
    const result = await post("answer", { request_id: request.request_id, answers });
    if (!result.ok) for (const each of actions.children) each.disabled = false;
  }));
  actions.append(button("Decline", "deny", () => post("answer", { request_id: request.request_id, answers: null })));
  element.append(actions);
  return element;
}

$("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("text").value;
  if (!text.trim()) return;
  $("text").value = "";
  const result = await post("send", { text });
  if (!result.ok) $("text").value = text;
});
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); $("form").requestSubmit(); }
});
$("interrupt").addEventListener("click", () => post("interrupt", {}));

let last = 0;
const source = new EventSource("events");
source.addEventListener("open", () => refresh());
source.addEventListener("error", () => { $("state").textContent = "connecting"; });
source.addEventListener("message", (event) => {
  const id = Number(event.lastEventId);
  const parsed = JSON.parse(event.data);
  const partial = parsed.type === "stream_event" || /(\/delta|Delta)$/.test(parsed.method || "");
  if (!partial && id <= last) return; // A replay after a reconnect repeats nothing that is shown.
  if (!partial) last = id;
  show(parsed);
});
