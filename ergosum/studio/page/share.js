// Link, code and downloads of a table's state.

import * as api from "./api.js";
import { el, noProblems, problem, say } from "./dom.js";

const KINDS = { png: "PNG", gif: "GIF", npz: "npz", svg: "SVG" };

// A row of buttons below a table; `state` gives what the server is asked with.
export function share(table, name, formats, state) {
  const python = el("pre", { tabindex: "0", "aria-label": "Python" });
  const command = el("pre", { tabindex: "0", "aria-label": "Command" });
  const shown = el("details", { class: "as-code" }, el("summary", { text: "As code" }),
    el("h3", { text: "Command" }), command, el("h3", { text: "Python" }), python);

  async function code() {
    const told = await api.code(name, state());
    python.textContent = told.python;
    command.textContent = told.command;
    return told;
  }

  async function tried(act) {
    noProblems(table);
    try {
      await act();
    } catch (error) {
      problem(table, error.field || "", error.message);
    }
  }

  async function copied(text, what) {
    try {
      await navigator.clipboard.writeText(text);
      say(`${what} copied.`);
    } catch {
      shown.open = true;
      say(`${what} could not be copied; it is shown below.`);
    }
  }

  shown.addEventListener("toggle", () => { if (shown.open) tried(code); });

  const buttons = [
    ["Copy link", async () => copied(location.href, "Link")],
    ["Copy as Python", async () => copied((await code()).python, "Python")],
    ["Copy as command", async () => copied((await code()).command, "Command")],
  ].map(([text, act]) => el("button", { type: "button", text, onclick: () => tried(act) }));
  const downloads = formats.map((suffix) => el("button", {
    type: "button", text: KINDS[suffix], "aria-label": `Download ${KINDS[suffix]}`, "data-suffix": suffix,
    onclick: (event) => tried(async () => {
      const button = event.currentTarget;
      button.disabled = true;
      try {
        const url = URL.createObjectURL(await api.file(name, state(), suffix));
        el("a", { href: url, download: `${name}.${suffix}` }).click();
        setTimeout(() => URL.revokeObjectURL(url), 60000);
      } finally {
        button.disabled = false;
      }
    }),
  }));
  return el("footer", { class: "share" },
    el("div", { class: "row" }, ...buttons, el("span", { class: "gap" }), el("span", { class: "label", text: "Download" }), ...downloads),
    shown);
}

// Writes the state into the address, without a step of the browser's history.
export function remember(name, told) {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(told)) {
    if (value !== "" && value !== undefined && value !== null) params.set(key, value);
  }
  const hash = `#${name}?${params}`;
  if (location.hash !== hash) history.replaceState(null, "", hash);
}
