// Runs: what lies below the root, curves as they grow, scores, and runs compared.

import * as api from "./api.js";
import { el, noProblems, problem, say } from "./dom.js";
import { remember, share } from "./share.js";

const FRAME = `
<header class="head"><h1>Runs</h1><p class="lead"></p></header>
<div class="runs-table" data-field="runs"></div>
<div data-field=""></div>
<div class="looked" hidden>
  <h2 class="of"></h2>
  <div class="curves" tabindex="0" role="group" aria-label="Training curves"></div>
  <p class="no-log" hidden>These have no log of their training; cards ship without one.</p>
  <div class="pair"><div class="scores" hidden><h2>Scores</h2><div class="table-scroll" tabindex="0" role="group" aria-label="Scores"><table class="grid-table"></table></div></div>
  <div class="recipes" hidden><h2>Where the recipes differ</h2><div class="table-scroll" tabindex="0" role="group" aria-label="Where the recipes differ"><table class="grid-table"></table></div></div></div>
</div>`;

export function mount(table, told) {
  table.innerHTML = FRAME;
  document.head.prepend(el("link", { rel: "stylesheet", href: "/api/charts.css" }));
  const at = (selector) => table.querySelector(selector);
  const running = new api.Running("runs");
  const state = { runs: [] };
  at(".lead").textContent = `Run folders under ${told.root}, and the cards that ship. Press one to look at it; choose up to ${told.most} to compare. Runs that are being trained are followed.`;
  const asked = () => ({ runs: state.runs });
  const footer = share(table, "runs", ["png", "svg", "npz"], asked);
  table.append(footer);
  let waiting = 0;
  let visible = false;
  let cards = false;

  async function run() {
    clearTimeout(waiting);
    noProblems(table);
    remember("runs", { runs: state.runs.join(" ") });
    let follow = false;
    at(".looked").hidden = footer.hidden = !state.runs.length;
    try {
      await running.start(asked(), {
        runs: (event) => {
          follow = event.runs.some((r) => r.training);
          list(event);
        },
        curves,
        scores: (event) => numbers(at(".scores"), event.rows, (v) => (v === null || v === undefined ? "–" : Number.isInteger(v) ? String(v) : v.toPrecision(4))),
        recipes: (event) => numbers(at(".recipes"), event.rows, String),
      });
    } catch (error) {
      problem(table, error.field, error.message);
    }
    if (visible && follow) waiting = setTimeout(run, 2000);
  }

  function list(event) {
    const focused = document.activeElement?.dataset?.run;
    const rows = [...event.runs, ...(cards || !event.runs.length || event.cards.some((c) => state.runs.includes(c.name)) ? event.cards : [])];
    const body = el("tbody", {}, ...rows.map((run) => {
      const name = el("button", { type: "button", class: "link", text: run.name, "data-run": run.name, "aria-pressed": String(state.runs.join() === run.name),
        onclick: () => { state.runs = [run.name]; say(`Looking at ${run.name}.`); look(); } });
      const box = el("input", { type: "checkbox", "aria-label": `Compare ${run.name}`, "data-compare": run.name });
      box.checked = state.runs.includes(run.name);
      box.addEventListener("change", () => {
        state.runs = box.checked ? [...state.runs, run.name].slice(-told.most) : state.runs.filter((other) => other !== run.name);
        look();
      });
      const progress = run.updates === null ? "–" : run.of ? `${run.updates.toLocaleString("en")} of ${run.of.toLocaleString("en")}` : run.updates.toLocaleString("en");
      return el("tr", { class: run.training ? "training" : "" }, el("td", {}, box), el("td", {}, name), el("td", { class: "wide", text: run.shows || run.recipe }),
        el("td", { class: "number", text: progress }), el("td", { class: "number spare", text: run.error === null ? "–" : run.error.toPrecision(3) }),
        el("td", {}, run.training ? el("span", { class: "badge", text: "training" }) : null,
          run.report ? el("a", { href: `/api/report/${run.name.split("/").map(encodeURIComponent).join("/")}`, target: "_blank", rel: "noopener", text: "report" }) : null));
    }));
    const head = el("thead", {}, el("tr", {}, ...[["Compare", ""], ["Run", ""], ["Shows", "wide"], ["Updates", "number"], ["Error", "number spare"], ["", ""]].map(([text, kind]) => (text ? el("th", { scope: "col", class: kind, text }) : el("td", {})))));
    const shown = el("div", { class: "table-scroll", tabindex: "0", role: "group", "aria-label": "Runs" }, el("table", { class: "grid-table" }, head, body));
    const toggle = el("button", { type: "button", class: "cards-too", text: cards ? "Hide the cards" : "Show the cards too", "aria-pressed": String(cards), onclick: () => { cards = !cards; run(); } });
    const empty = event.runs.length ? null : el("p", { class: "lead", text: `There is no run under ${told.root} yet; \`ergosum train\` makes one.` });
    at(".runs-table").replaceChildren(...[empty, shown, event.runs.length ? toggle : null].filter(Boolean));
    if (focused) at(`[data-run="${CSS.escape(focused)}"]`)?.focus();
  }
  const look = () => run();

  function curves(event) {
    at(".of").textContent = state.runs.join(" and ");
    at(".curves").innerHTML = event.svg;
    at(".curves").hidden = !event.svg;
    at(".no-log").hidden = Boolean(event.svg);
  }

  function numbers(place, rows, text) {
    place.hidden = !rows.length;
    place.querySelector("table").replaceChildren(
      el("thead", {}, el("tr", {}, el("td", {}), ...state.runs.map((name) => el("th", { scope: "col", class: "number", text: name })))),
      el("tbody", {}, ...rows.map(([key, ...values]) => el("tr", {}, el("th", { scope: "row", text: key.replaceAll("_", " ") }), ...values.map((v) => el("td", { class: "number", text: text(v) }))))),
    );
  }

  return {
    show(params) {
      visible = true;
      if ([...params].length) state.runs = (params.get("runs") || "").split(" ").filter(Boolean);
      run();
    },
    leave() {
      visible = false;
      clearTimeout(waiting);
      running.stop();
    },
  };
}
