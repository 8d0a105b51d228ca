// Which table is shown, by the address; and light or dark.

import * as api from "./api.js";
import { say } from "./dom.js";
import { mount as change } from "./change.js";
import { mount as concepts } from "./concepts.js";
import { mount as decompose } from "./decompose.js";
import { mount as landscape } from "./landscape.js";
import { mount as runs } from "./runs.js";

const MOUNTS = { change, landscape, concepts, decompose, runs };
const shown = {};

function place() {
  const [name, query = ""] = location.hash.slice(1).split("?");
  return [name in MOUNTS ? name : "change", new URLSearchParams(query)];
}

function show(told) {
  const [name, params] = place();
  for (const other of Object.keys(MOUNTS)) {
    document.getElementById(`table-${other}`).hidden = other !== name;
    if (other !== name && shown[other]) shown[other].leave();
  }
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.table === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.querySelector("nav a[aria-current]").scrollIntoView({ block: "nearest", inline: "nearest" });
  document.title = `${document.querySelector(`nav a[data-table=${name}]`).textContent} · ergosum studio`;
  if (!shown[name]) shown[name] = MOUNTS[name](document.getElementById(`table-${name}`), told.tables[name], told.tables);
  shown[name].show(params);
}

function theme() {
  const button = document.getElementById("theme");
  const kinds = ["auto", "light", "dark"];
  let kind = "auto";
  try { kind = localStorage.getItem("theme") || "auto"; } catch { /* not kept */ }
  const apply = () => {
    document.documentElement.dataset.theme = kind;
    button.textContent = { auto: "Auto", light: "Light", dark: "Dark" }[kind];
    button.setAttribute("aria-label", `Colours: ${button.textContent}; press to change`);
    document.dispatchEvent(new Event("theme"));
  };
  button.addEventListener("click", () => {
    kind = kinds[(kinds.indexOf(kind) + 1) % kinds.length];
    try { localStorage.setItem("theme", kind); } catch { /* not kept */ }
    apply();
    say(button.getAttribute("aria-label"));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
  apply();
}

theme();
const opening = document.getElementById("opening");
try {
  const told = await api.options();
  opening.remove();
  show(told);
  addEventListener("hashchange", () => show(told));
  document.documentElement.dataset.ready = "yes";
} catch (error) {
  opening.textContent = error.message;
  opening.classList.add("problem");
}
