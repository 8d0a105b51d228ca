// Small things that every table uses: elements, announcements, problems beside what caused them.

export function el(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "text") made.textContent = value;
    else if (name === "class") made.className = value;
    else if (name in made && name !== "list" && typeof value !== "string") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function say(text) {
  const place = document.getElementById("said");
  place.textContent = "";
  requestAnimationFrame(() => { place.textContent = text; });
}

// Calls `act` once no new call has come for a moment.
export function later(act, milliseconds = 140) {
  let waiting = 0;
  return (...told) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => act(...told), milliseconds);
  };
}

// A problem stands in the place `[data-field=NAME]`, or in `[data-field=""]` of the table.
export function problem(table, field, message) {
  const exact = field ? table.querySelector(`[data-field~="${CSS.escape(field)}"]`) : null;
  const place = exact || table.querySelector('[data-field=""]');
  const id = `${table.id}-problem-${field || "table"}`;
  const told = el("p", { class: "problem", role: "alert", id });
  told.textContent = message;
  told.classList.toggle("code", message.includes("\n"));
  place.append(told);
  const input = exact && exact.querySelector("input, select, textarea");
  if (input) {
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", id);
  }
}

export function noProblems(table) {
  for (const told of table.querySelectorAll(".problem, .note")) told.remove();
  for (const input of table.querySelectorAll("[aria-invalid]")) {
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-describedby");
  }
}

export function note(table, text) {
  const place = table.querySelector('[data-field=""]');
  if (![...place.querySelectorAll(".note")].some((p) => p.textContent === text)) {
    place.append(el("p", { class: "note", text }));
  }
}

export function fixed(value, digits) {
  if (value === null || value === undefined) return "–";
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}
