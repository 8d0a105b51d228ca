// Concepts: a formula of chips, its draws level by level, what is read in them, and each term's energy.

import * as api from "./api.js";
import { el, fixed, later, noProblems, note, problem, say } from "./dom.js";
import { changed, joined, terms, without } from "./formula.js";
import { remember, share } from "./share.js";

const FRAME = `
<header class="head"><h1>Concepts</h1>
<p class="lead">Densities of classes and attributes, joined by AND, OR and NOT; images drawn from the formula, and what a reader sees in them.</p></header>
<div class="sides wide-left">
<div class="main">
  <ol class="draws" aria-label="Draws"></ol>
  <div class="row under"><button type="button" class="again">Draw again</button><button type="button" class="halt" disabled>Stop</button>
  <span class="count" role="status"></span></div>
  <p class="verdict" role="status"></p>
  <div class="tree" hidden><h2>Energy of each term, mean over the draws [nats]</h2><ul></ul></div>
</div>
<aside class="panel">
  <div data-field="model"><h2>Density</h2><label class="inline"><span class="hidden">Density</span><select class="model"></select></label></div>
  <div>
    <h2>Formula</h2>
    <div data-field="formula"><label class="text"><span class="hidden">Formula</span><input type="text" class="formula" spellcheck="false" autocomplete="off"></label></div>
    <div class="terms"></div>
    <div class="row joins" role="radiogroup" aria-label="A name is added with">
      <label><input type="radio" name="concepts-join" value="and"> and</label>
      <label><input type="radio" name="concepts-join" value="or" checked> or</label>
      <label><input type="radio" name="concepts-join" value="not"> not</label>
      <button type="button" class="bracket" title="Put the formula in brackets">( )</button>
    </div>
    <div class="names"></div>
    <div class="places" hidden><h3>A place, by a click on a draw or here</h3>
      <button type="button" class="frame" aria-label="Frame of an image; press to add a place in its middle"></button></div>
  </div>
  <div><div data-field="n"><label class="slider">Draws <input type="range" class="n" min="1" max="36" step="1"><output></output></label></div>
  <div data-field="steps"><label class="slider">Levels <input type="range" class="steps" min="10" max="120" step="5"><output></output></label></div></div>
  <div data-field=""></div>
</aside></div>`;

export function mount(table, told) {
  table.innerHTML = FRAME;
  const at = (selector) => table.querySelector(selector);
  const running = new api.Running("concepts");
  const state = { model: "", formula: "prior", n: 16, steps: 30, seed: 0, ...told.begin };
  const asked = () => ({ ...state });
  table.append(share(table, "concepts", ["png", "gif", "npz"], asked));
  let cells = [];

  async function run() {
    noProblems(table);
    remember("concepts", { ...asked(), seed: state.seed || "" });
    at(".halt").disabled = false;
    at(".verdict").textContent = "";
    at(".tree").hidden = true;
    at(".count").textContent = "Loading …";
    if (!cells.length) cellsOf(state.n);
    at(".draws").classList.add("waiting");
    for (const cell of cells) cell.item.className = "";
    try {
      const ended = await running.start(asked(), {
        note: (event) => note(table, event.text),
        names: showNames,
        draws: showDraws,
        verdict: showVerdict,
      });
      if (ended) say(at(".verdict").textContent || "Drawn.");
    } catch (error) {
      at(".count").textContent = "";
      at(".draws").classList.remove("waiting");
      cellsOf(0);
      problem(table, error.field, error.message);
    } finally {
      if (!running.ending) at(".halt").disabled = true;
    }
  }
  const soon = later(run, 250);

  // Frames for n draws, empty until the first level is there.
  function cellsOf(n) {
    cells = Array.from({ length: n }, (_, k) => {
      const canvas = el("canvas", { role: "img", "aria-label": `Draw ${k + 1}` });
      canvas.addEventListener("click", (e) => placed(e, canvas));
      const caption = el("span", { class: "caption" });
      return { canvas, caption, item: el("li", {}, canvas, caption) };
    });
    at(".draws").style.setProperty("--columns", Math.ceil(Math.sqrt(Math.max(1, n))));
    at(".draws").replaceChildren(...cells.map((cell) => cell.item));
  }

  async function showDraws(event) {
    const list = at(".draws");
    if (cells.length !== event.n) cellsOf(event.n);
    list.classList.remove("waiting");
    list.style.setProperty("--columns", event.columns);
    at(".count").textContent = event.sigma ? `noise level ${event.sigma.toPrecision(2)}` : "drawn";
    const image = new Image();
    image.src = event.image;
    const mine = cells;
    await image.decode();
    mine.forEach(({ canvas, caption, item }, k) => {
      if (canvas.width !== event.side) canvas.width = canvas.height = event.side;
      canvas.getContext("2d").drawImage(image, (k % event.columns) * event.side, Math.floor(k / event.columns) * event.side, event.side, event.side, 0, 0, event.side, event.side);
      if (event.sigma) { caption.textContent = ""; item.className = ""; }
    });
  }

  function showVerdict(event) {
    cells.forEach(({ canvas, caption, item }, k) => {
      const read = event.captions[k] || "";
      caption.textContent = read;
      const good = event.good[k];
      item.className = good === true ? "good" : good === false ? "off" : "";
      canvas.setAttribute("aria-label", `Draw ${k + 1}${read ? `, read as ${read}` : ""}${good === false ? ", not what was asked for" : ""}`);
    });
    if (event.satisfied !== null) {
      const right = event.good.filter((g) => g === true).length;
      at(".verdict").textContent = `${right} of ${event.good.length} draws are what the formula asks for, as ${event.judge} reads them.`;
      at(".verdict").classList.toggle("bad", event.satisfied < 0.5);
    }
    at(".tree").hidden = !event.terms.length;
    at(".tree ul").replaceChildren(...event.terms.map(([depth, text, value]) => {
      const item = el("li", {}, el("span", { class: "name", text }), el("output", { text: fixed(value, 1) }));
      item.style.setProperty("--depth", Math.round(depth / 3));
      return item;
    }));
  }

  function showNames(event) {
    at(".names").replaceChildren(...Object.entries(event.kinds).map(([kind, names]) => el("div", { role: "group", "aria-label": kind },
      el("h3", { text: kind }), el("div", { class: "chips" }, ...["prior"].concat(names).filter((name, n) => n || kind === Object.keys(event.kinds)[0]).map(chip)))));
    at(".places").hidden = !event.places.length;
    table.dataset.place = event.places[0] || "";
    table.classList.toggle("placing", event.places.length > 0);
    if (table.dataset.kinds !== Object.keys(event.kinds).join()) {
      table.dataset.kinds = Object.keys(event.kinds).join();
      at(`[name=concepts-join][value=${Object.keys(event.kinds).length > 1 ? "and" : "or"}]`).checked = true;
    }
    showPlaces();
  }

  function chip(name) {
    const made = el("button", { type: "button", class: "chip", text: name, draggable: true });
    made.addEventListener("click", () => add(name));
    made.addEventListener("dragstart", (event) => event.dataTransfer.setData("text/concept", name));
    return made;
  }
  const sign = () => at("[name=concepts-join]:checked").value;
  function add(name) {
    edit(state.formula === "prior" || !state.formula ? joined("", name, sign()) : joined(state.formula, name, sign()));
  }
  for (const place of [at(".terms"), at(".draws")]) {
    place.addEventListener("dragover", (event) => event.preventDefault());
    place.addEventListener("drop", (event) => {
      event.preventDefault();
      const name = event.dataTransfer.getData("text/concept");
      if (name) add(name);
    });
  }
  // A click tells a place, as shares of the image from its upper left corner; the keyboard tells the middle.
  function placed(event, target) {
    if (!table.dataset.place) return;
    const box = target.getBoundingClientRect();
    const inside = event.detail ? [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height] : [0.5, 0.5];
    const [x, y] = inside.map((v) => Math.round(100 * Math.min(1, Math.max(0, v))) / 100);
    add(`${table.dataset.place}(${x},${y})`);
  }
  at(".frame").addEventListener("click", (event) => placed(event, at(".frame")));

  function showTerms() {
    at(".formula").value = state.formula;
    const found = terms(state.formula);
    showPlaces();
    at(".terms").replaceChildren(...found.map((term, number) => {
      const value = el("output", { text: term.weight.toFixed(2) });
      const slider = el("input", { type: "range", min: "0.05", max: "3", step: "0.05", value: String(term.weight), "aria-label": `${shared(term) ? "Share" : "Weight"} of ${term.name}` });
      slider.addEventListener("input", () => {
        state.formula = changed(state.formula, terms(state.formula)[number], { weight: Number(slider.value), by: shared(term) ? ":" : "*" });
        at(".formula").value = state.formula;
        value.textContent = Number(slider.value).toFixed(2);
        soon();
      });
      const negate = el("button", { type: "button", class: "sign", text: term.not ? "~" : "+", "aria-pressed": String(Boolean(term.not)), "aria-label": `Negate ${term.name}`,
        onclick: () => edit(changed(state.formula, term, { not: term.not ? "" : "~" })) });
      return el("div", { class: "term" }, negate, el("span", { class: "name", text: term.name }), slider, value,
        el("button", { type: "button", class: "remove", text: "×", "aria-label": `Remove ${term.name}`, onclick: () => edit(without(state.formula, term) || "prior") }));
    }));
  }
  function showPlaces() {
    at(".frame").replaceChildren(...[...state.formula.matchAll(/\((\d*\.?\d+),\s*(\d*\.?\d+)\)/g)].map(([, x, y]) => {
      const mark = el("span", {});
      mark.style.left = `${100 * x}%`;
      mark.style.top = `${100 * y}%`;
      return mark;
    }));
  }
  // Of alternatives, a number in front of a name is its share.
  function shared(term) {
    const before = state.formula.slice(0, term.start).trimEnd();
    const after = state.formula.slice(term.end).trimStart();
    return /[|]$/.test(before) ? !after.startsWith("&") : before === "" && after.startsWith("|");
  }
  function edit(text) {
    state.formula = text;
    showTerms();
    run();
  }
  at(".formula").addEventListener("change", () => edit(at(".formula").value.trim() || "prior"));
  at(".bracket").addEventListener("click", () => { if (state.formula) edit(`(${state.formula})`); });
  for (const name of told.models) at(".model").append(el("option", { value: name, text: name }));
  at(".model").addEventListener("change", () => {
    state.model = at(".model").value;
    state.formula = told.formulas[state.model] || "prior";
    showTerms();
    run();
  });
  function showSettings() {
    at(".model").value = state.model;
    for (const name of ["n", "steps"]) {
      at(`.${name}`).value = String(state[name]);
      at(`.${name}`).nextElementSibling.textContent = String(state[name]);
    }
  }
  for (const name of ["n", "steps"]) at(`.${name}`).addEventListener("input", () => { state[name] = Number(at(`.${name}`).value); showSettings(); soon(); });
  at(".again").addEventListener("click", () => { state.seed = (state.seed + 1) % 1000; run(); });
  at(".halt").addEventListener("click", () => { running.stop(); at(".halt").disabled = true; at(".draws").classList.remove("waiting"); at(".count").textContent = "stopped"; });

  return {
    show(params) {
      if ([...params].length) {
        state.model = params.get("model") ?? told.begin.model;
        state.formula = params.get("formula") ?? "prior";
        for (const [name, first] of [["n", 16], ["steps", 30], ["seed", 0]]) state[name] = Number(params.get(name) ?? first);
      }
      showTerms();
      showSettings();
      run();
    },
    leave() { running.stop(); },
  };
}
