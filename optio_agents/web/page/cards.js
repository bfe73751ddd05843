// Cards: what waits for an answer. `post(route, body)` returns the answer.

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function card(title, asker, ...children) {
  return element("section", { className: "card" },
    element("h2", { textContent: asker ? `${title} (${asker})` : title }), ...children);
}

/** Buttons of which one is pressed: all wait for the answer, and can be pressed again if it was refused. */
function actions(...choices) {
  const row = element("div", { className: "actions" });
  for (const [text, kind, action] of choices) {
    row.append(element("button", {
      type: "button", className: kind, textContent: text,
      onclick: async () => {
        for (const each of row.children) each.disabled = true;
        const answer = await action();
        if (!answer.ok) for (const each of row.children) each.disabled = false;
      },
    }));
  }
  return row;
}

const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 1));

export function permissionCard(request, post) {
  const entries = Object.entries(request.input);
  const input = entries.length === 1 ? shown(entries[0][1]) : entries.map(([name, value]) => `${name}: ${shown(value)}`).join("\n");
  const decide = (behavior, more) => post("permission", { request_id: request.request_id, behavior, ...more });
  return card(`May it use ${request.tool}?`, request.asker, element("pre", { textContent: input, tabIndex: 0 }), actions(
    ["Allow", "allow", () => decide("allow")],
    ...(request.scopes.includes("session") ? [["Allow for the session", "allow", () => decide("allow", { scope: "session" })]] : []),
    ["Deny", "deny", () => decide("deny")],
  ));
}

/** One question of a request: its fields, and a function that gives the answer. */
function field(question, name) {
  const legend = (question.header ? `${question.header}: ` : "") + question.text;
  const group = element("fieldset", {}, element("legend", { textContent: legend }));
  const boxes = question.choices.map((choice) => {
    const box = element("input", { type: question.multiple ? "checkbox" : "radio", name, value: choice.label });
    const description = choice.description ? element("small", { textContent: ` ${choice.description}` }) : "";
    group.append(element("label", {}, box, ` ${choice.label}`, description));
    return box;
  });
  let text = null;
  if (question.free_text || !boxes.length) {
    text = element("input", { type: question.secret ? "password" : "text", autocomplete: "off" });
    text.setAttribute("aria-label", boxes.length ? "another answer" : legend);
    if (boxes.length) text.placeholder = "another answer";
    group.append(text);
  }
  const read = () => {
    if (text?.value) return question.multiple ? [text.value] : text.value;
    const chosen = boxes.filter((box) => box.checked).map((box) => box.value);
    return question.multiple ? (chosen.length ? chosen : undefined) : chosen[0];
  };
  return [group, read];
}

export function questionCard(request, post) {
  const fields = request.questions.map((question, index) =>
    [question.key, ...field(question, `${request.request_id}-${index}`)]);
  const answer = () => {
    const answers = {};
    for (const [key, , read] of fields) {
      const value = read();
      if (value !== undefined) answers[key] = value;
    }
    return post("answer", { request_id: request.request_id, answers });
  };
  return card(request.kind === "plan" ? "A plan" : "A question", request.asker,
    ...(request.message ? [element("pre", { textContent: request.message, tabIndex: 0 })] : []),
    ...fields.map(([, group]) => group),
    actions(
      ["Answer", "allow", answer],
      ["Decline", "deny", () => post("answer", { request_id: request.request_id, answers: null })],
    ));
}
