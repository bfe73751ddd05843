// What is said: the list of messages, tool uses and notes.

const list = document.getElementById("talk");
let streaming = null; // the item to which pieces of a text are added
const awaited = []; // messages that are shown already, and that the agent will say again when it takes them up

/** Whether the end of the page can be seen; if so, it stays in sight when something is added. */
const isAtEnd = () => window.innerHeight + window.scrollY >= document.body.scrollHeight - 80;

export function keepingEndInSight(change) {
  const atEnd = isAtEnd();
  change();
  if (atEnd) window.scrollTo(0, document.body.scrollHeight);
}

export function item(kind, text) {
  const element = document.createElement("li");
  element.className = kind;
  element.textContent = text;
  keepingEndInSight(() => list.append(element));
  return element;
}

/** A piece of the agent's text. */
export function piece(text) {
  if (!text) return;
  streaming ??= item("agent", "");
  keepingEndInSight(() => { streaming.textContent += text; });
}

/** The whole text, which replaces the pieces that came of it. */
export function whole(text) {
  if (streaming) keepingEndInSight(() => { streaming.textContent = text; });
  else item("agent", text);
  streaming = null;
}

export function endText() { streaming = null; }

export function tool(name, input) {
  endText();
  const text = typeof input === "string" ? input : JSON.stringify(input ?? "");
  item("tool", `${name} ${short(text)}`);
}

/** A message that one of the viewers, or the run itself, has sent. */
export function sent(text) {
  endText();
  item("user", text);
  awaited.push(text.trim());
}

/** A message that the agent has taken up: shown, unless it is already. */
export function taken(text) {
  endText();
  const known = awaited.findIndex((each) => text.trim().endsWith(each));
  if (known >= 0) awaited.splice(known, 1);
  else if (text.startsWith("System: ")) item("note", text);
  else item("user", text);
}

export function short(text, limit = 400) {
  return text.length > limit ? `${text.slice(0, limit)} …` : text;
}
