// The agent's checklist.

const MARKS = { completed: "✓", in_progress: "▸", inProgress: "▸", pending: "○" };

/** `rows`: pairs of a text and a status. */
export function showTodos(rows) {
  document.getElementById("todos").hidden = rows.length === 0;
  document.getElementById("todo-list").replaceChildren(...rows.map(([text, status]) => {
    const entry = document.createElement("li");
    entry.className = status;
    const mark = document.createElement("span");
    mark.textContent = MARKS[status] ?? "○";
    mark.setAttribute("aria-label", status);
    mark.setAttribute("role", "img");
    entry.append(mark, ` ${text}`);
    return entry;
  }));
}
