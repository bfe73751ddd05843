// The page of one conversation: a client of the same routes as optio's dashboard. No framework, no foreign resource.
import { isPartial, showBackendEvent } from "./backends.js";
import { permissionCard, questionCard } from "./cards.js";
import { endText, item, keepingEndInSight, sent } from "./talk.js";

const $ = (id) => document.getElementById(id);

let isOver = false;

const ours = {
  "x-optio-sent": (event) => sent(event.text),
  "x-optio-interrupt": () => { endText(); item("note", "interrupted"); },
  "x-optio-permission-answered": (event) => item("note", `permission: ${event.behavior}`),
  "x-optio-question-answered": (event) => item("note", event.declined ? "question: declined" : "question: answered"),
  "x-optio-closed": (event) => { if (event.reason) item("note", `the agent has ended: ${event.reason}`); end(); },
  "x-optio-progress": (event) => {
    $("progress").hidden = false;
    if (typeof event.percent === "number") $("bar").value = event.percent;
    if (event.message) $("message").textContent = event.message;
  },
  "x-optio-attention": (event) => { $("attention").hidden = false; $("attention").textContent = event.reason; },
  "x-optio-deliverable": showDeliverable,
  "x-optio-ended": (event) => { item(event.exit_code ? "error" : "done", event.text); end(); },
  "x-optio-over": end,
};

function showDeliverable({ path, accepted }) {
  $("files").hidden = false;
  const entry = document.createElement("li");
  if (accepted) {
    const link = document.createElement("a");
    link.href = `download?path=${encodeURIComponent(`deliverables/${path}`)}`;
    link.textContent = path;
    entry.append(link);
  } else entry.textContent = `${path} (rejected)`;
  $("list").append(entry);
}

/** Nothing can be sent any more; the events that are still on their way are shown. */
function end() {
  isOver = true;
  $("state").textContent = "ended";
  $("interrupt").hidden = $("form").hidden = true;
  $("requests").replaceChildren();
}

// The state beside the events: fetched after events, at most a few times a second.

let waiting = null;
function later() { waiting ??= setTimeout(() => { waiting = null; refresh(); }, 150); }

async function refresh() {
  if (isOver) return;
  let state;
  try { state = await (await fetch("state")).json(); } catch { return; }
  if (isOver) return;
  $("agent").textContent = state.agent;
  document.title = `${state.agent}: ${state.state}`;
  if (state.state === "closed") return void end();
  $("state").textContent = state.state + (state.queued.length ? `, ${state.queued.length} queued` : "");
  $("interrupt").disabled = !["running", "awaiting permission"].includes(state.state);
  if (state.state === "idle") endText();
  const open = new Map();
  for (const request of state.permissions) open.set(`p${request.request_id}`, () => permissionCard(request, post));
  for (const request of state.questions) open.set(`q${request.request_id}`, () => questionCard(request, post));
  keepingEndInSight(() => showCards(open));
}

/** The cards of what waits now; one that is shown already stays as it is, half filled. */
function showCards(open) {
  for (const card of [...$("requests").children]) {
    if (!open.delete(card.dataset.key)) card.remove();
  }
  for (const [key, make] of open) {
    const card = make();
    card.dataset.key = key;
    $("requests").append(card);
  }
}

async function post(route, body) {
  let result;
  try {
    const answer = await fetch(route, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
    });
    result = await answer.json();
  } catch { result = { ok: false, reason: "the run cannot be reached" }; }
  if (!result.ok) item("error", `${route}: ${result.reason}`);
  later();
  return result;
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
source.addEventListener("error", () => {
  if (isOver) source.close(); else $("state").textContent = "connecting";
});
source.addEventListener("message", (message) => {
  const id = Number(message.lastEventId);
  const event = JSON.parse(message.data);
  if (!isPartial(event)) {
    if (id <= last) return; // A replay after a reconnect repeats nothing that is shown.
    last = id;
  }
  const own = ours[event.type];
  if (own) own(event); else showBackendEvent(event);
  later();
});
