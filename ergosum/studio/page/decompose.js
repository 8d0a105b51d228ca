// Decompose: components of two images as cards; those that are chosen are added up, and can be moved.

import * as api from "./api.js";
import { el, later, noProblems, note, problem, say } from "./dom.js";
import { remember, share } from "./share.js";

const FRAME = `
<header class="head"><h1>Decompose</h1>
<p class="lead">Two images, each the sum of energies that nobody labelled. Press a component to put it into the sum or take it out, drag it onto the sum to put it there, drag its mark to move it.</p></header>
<div class="decompose">
  <div class="side a" data-which="A" data-field="a image"></div>
  <div class="middle">
    <div class="row"><h2>Sum</h2><span class="gap"></span><label class="inline"><input type="checkbox" class="masks"> masks</label></div>
    <div class="sum" data-field="take"><img alt="The sum" class="made"><div class="marks"></div></div>
    <p class="count" role="status"></p>
    <div class="row"><button type="button" class="all-a">All of A</button><button type="button" class="both">All of both</button><button type="button" class="none">Nothing</button></div>
    <div data-field="model"><label class="inline">Energies of <select class="model"></select></label></div>
    <div data-field=""></div>
  </div>
  <div class="side b" data-which="B" data-field="b"></div>
</div>`;

const SIDE = (which) => `
<h2>Image ${which}</h2>
<div class="given"><img class="whole" alt="Image ${which}"><div class="pick">
  <button type="button" class="before" aria-label="The held-out image before, for ${which}">‹</button><span class="number"></span>
  <button type="button" class="next" aria-label="The next held-out image, for ${which}">›</button></div>
  <label class="drop"><input type="file" accept="image/*"><span>Upload</span></label></div>
<p class="told"></p>
<ul class="parts" aria-label="Components of image ${which}"></ul>`;

export function mount(table, told) {
  table.innerHTML = FRAME;
  const at = (selector) => table.querySelector(selector);
  const running = new api.Running("decompose");
  const reading = { A: new api.Running("parts", "A"), B: new api.Running("parts", "B") };
  const state = { ...told.begin, take: null };
  const parts = { A: [], B: [] };
  let globals = 1;
  let shown = null;
  for (const which of ["A", "B"]) at(`[data-which=${which}]`).innerHTML = SIDE(which);
  const asked = () => ({ model: state.model, a: state.a, b: state.b, take: written() });
  table.append(share(table, "decompose", ["png", "gif", "npz"], asked));

  // What is chosen: [{which, name, place}], in the order in which it was.
  let chosen = [];
  function written() {
    return chosen.map(({ which, name, place }) => `${which}:${name}${place ? `@${place.map((v) => Math.round(v * 100) / 100).join(",")}` : ""}`).join(" ");
  }
  function parsed(text) {
    return text.split(/\s+/).filter(Boolean).map((part) => {
      const found = /^([AB]):([^@]+)(?:@([^,]+),(.+))?$/.exec(part);
      return found && { which: found[1], name: found[2], place: found[3] === undefined ? null : [Number(found[3]), Number(found[4])] };
    }).filter(Boolean);
  }
  // Nothing chosen is told by a dash, so that a link without a choice means all of A.
  function keep() { remember("decompose", { ...asked(), take: written() || "-" }); }
  const key = (which) => (which === "A" ? "a" : "b");

  async function read(which) {
    const side = at(`[data-which=${which}]`);
    const list = side.querySelector(".parts");
    side.querySelector(".number").textContent = state[key(which)].startsWith("held-out:") ? `held-out ${state[key(which)].split(":")[1]}` : "uploaded";
    parts[which] = [];
    list.replaceChildren();
    for (const old of side.querySelectorAll(".problem")) old.remove();
    try {
      return await reading[which].start({ model: state.model, image: state[key(which)] }, {
        image: (event) => {
          side.querySelector(".whole").src = event.image;
          globals = event.globals;
          side.querySelector(".told").textContent = "Taking it apart …";
          if (which === "A" && state.take === null) {
            state.take = "";
            chosen = event.components.map((name) => ({ which: "A", name, place: null }));
            add();
          }
        },
        whole: (event) => { side.querySelector(".told").textContent = `recomposed at ${event.psnr.toFixed(1)} dB`; },
        part: (event) => {
          parts[which].push(event);
          list.append(card(which, event));
          marks();
        },
      });
    } catch (error) {
      side.querySelector(".told").textContent = "";
      problem(table, error.field === "image" ? key(which) : error.field, error.message);
      return false;
    }
  }

  async function add() {
    for (const old of table.querySelectorAll(".sum .problem, [data-field=''] .problem, .note")) old.remove();
    keep();
    showChosen();
    if (!chosen.length) {
      running.stop();
      shown = null;
      at(".made").removeAttribute("src");
      at(".count").textContent = "Nothing is chosen; press a component.";
      return;
    }
    try {
      await running.start(asked(), {
        note: (event) => note(table, event.text),
        sum: (event) => {
          shown = event;
          look();
          at(".count").textContent = `Minimum of ${chosen.length} energ${chosen.length === 1 ? "y" : "ies"}: ${count("A")} of A, ${count("B")} of B.`;
        },
      });
    } catch (error) {
      problem(table, error.field, error.message);
    }
  }
  const soon = later(add, 30);
  const count = (which) => chosen.filter((c) => c.which === which).length;
  function look() {
    if (shown) at(".made").src = at(".masks").checked ? shown.masks : shown.image;
  }

  function card(which, part) {
    const made = el("button", { type: "button", class: "part", "data-part": `${which}:${part.name}`, draggable: true },
      el("img", { src: part.image, alt: "", draggable: false }), el("span", { class: "name", text: part.name }),
      el("span", { class: "share-of", text: `${(100 * part.share).toFixed(0)} %` }), el("span", { class: "hidden", text: ` of image ${which}` }));
    made.addEventListener("click", () => toggle(which, part.name));
    made.addEventListener("dragstart", (event) => {
      event.dataTransfer.setData("text/part", `${which}:${part.name}`);
      event.dataTransfer.effectAllowed = "copy";
    });
    const item = el("li", {}, made);
    showCard(made);
    return item;
  }
  function showCard(button) {
    const [which, name] = button.dataset.part.split(":");
    const taken = chosen.some((c) => c.which === which && c.name === name);
    button.setAttribute("aria-pressed", String(taken));
  }
  function showChosen() {
    for (const button of table.querySelectorAll(".part")) showCard(button);
    marks();
  }
  function toggle(which, name, place = null) {
    const taken = chosen.findIndex((c) => c.which === which && c.name === name);
    if (taken >= 0 && !place) chosen.splice(taken, 1);
    else if (taken >= 0) chosen[taken].place = place;
    else chosen.push({ which, name, place });
    say(`${name} of image ${which} is ${taken >= 0 && !place ? "out of" : "in"} the sum.`);
    add();
  }
  const partOf = (choice) => parts[choice.which].find((p) => p.name === choice.name);

  // Marks of what can be moved, on the sum.
  function marks() {
    const place = at(".marks");
    const focused = document.activeElement?.dataset?.mark;
    place.replaceChildren(...chosen.map((choice) => {
      const part = partOf(choice);
      if (!part || !part.place) return null;
      const [x, y] = choice.place || part.place;
      const mark = el("button", { type: "button", class: `mark-of ${choice.which.toLowerCase()}`, "data-mark": `${choice.which}:${choice.name}`,
        "aria-label": `${choice.name} of image ${choice.which}, at ${x.toFixed(2)}, ${y.toFixed(2)}; arrows move it` });
      mark.style.left = `${50 * (x + 1)}%`;
      mark.style.top = `${50 * (y + 1)}%`;
      mark.addEventListener("pointerdown", (event) => drag(event, choice, mark, [x, y]));
      mark.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
        if (event.key === "Delete") toggle(choice.which, choice.name);
        if (!step) return;
        event.preventDefault();
        const [u, v] = choice.place || part.place;
        choice.place = [within(u + 0.06 * step[0]), within(v + 0.06 * step[1])];
        marks();
        soon();
      });
      return mark;
    }).filter(Boolean));
    if (focused) place.querySelector(`[data-mark="${focused}"]`)?.focus();
  }
  const within = (v) => Math.max(-1.4, Math.min(1.4, v));
  function drag(event, choice, mark, [x, y]) {
    if (event.button) return;
    event.preventDefault();
    mark.focus();
    const box = at(".sum").getBoundingClientRect();
    const move = (e) => {
      choice.place = [within(x + 2 * (e.clientX - event.clientX) / box.width), within(y + 2 * (e.clientY - event.clientY) / box.height)];
      mark.style.left = `${50 * (choice.place[0] + 1)}%`;
      mark.style.top = `${50 * (choice.place[1] + 1)}%`;
      live();
    };
    const up = () => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", up);
      removeEventListener("pointercancel", up);
      if (choice.place) add();
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", up);
    addEventListener("pointercancel", up);
  }
  // While a mark is dragged one sum follows the other; none is cut short.
  let busy = false;
  async function live() {
    if (busy) return;
    busy = true;
    try {
      for await (const [kind, event] of api.stream("decompose", asked(), undefined, "live")) {
        if (kind === "sum") { shown = event; look(); }
      }
    } catch { /* told when the mark is let go */ } finally { busy = false; }
  }

  const sum = at(".sum");
  sum.addEventListener("dragover", (event) => { event.preventDefault(); sum.classList.add("over"); });
  sum.addEventListener("dragleave", () => sum.classList.remove("over"));
  sum.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    sum.classList.remove("over");
    const [which, name] = (event.dataTransfer.getData("text/part") || "").split(":");
    const part = which && parts[which].find((p) => p.name === name);
    if (!part) return;
    const box = sum.getBoundingClientRect();
    const place = part.place ? [within(2 * (event.clientX - box.left) / box.width - 1), within(2 * (event.clientY - box.top) / box.height - 1)] : null;
    if (!place && chosen.some((c) => c.which === which && c.name === name)) return;
    toggle(which, name, place);
  });

  for (const which of ["A", "B"]) {
    const side = at(`[data-which=${which}]`);
    const step = (by) => {
      const number = state[key(which)].startsWith("held-out:") ? Number(state[key(which)].split(":")[1]) : -by;
      change(which, `held-out:${Math.max(0, Math.min(9999, number + by))}`);
    };
    side.querySelector(".before").addEventListener("click", () => step(-1));
    side.querySelector(".next").addEventListener("click", () => step(1));
    const given = async (file) => {
      try {
        change(which, `upload:${(await api.upload(file)).id}`);
      } catch (error) {
        problem(table, key(which), error.message);
      }
    };
    const input = side.querySelector("input[type=file]");
    input.addEventListener("change", () => { if (input.files[0]) given(input.files[0]); input.value = ""; });
    side.addEventListener("dragover", (event) => event.preventDefault());
    side.addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer.files[0]) given(event.dataTransfer.files[0]);
    });
  }
  async function change(which, image) {
    state[key(which)] = image;
    for (const choice of chosen) if (choice.which === which) choice.place = null;
    add();
    await read(which);
  }

  at(".masks").addEventListener("change", look);
  at(".none").addEventListener("click", () => { chosen = []; add(); });
  const all = (which, from = 0) => parts[which].slice(from).map((p) => ({ which, name: p.name, place: null }));
  at(".all-a").addEventListener("click", () => { chosen = all("A"); add(); });
  at(".both").addEventListener("click", () => { chosen = [...all("A"), ...all("B", globals)]; add(); });
  for (const name of told.models) at(".model").append(el("option", { value: name, text: name }));
  at(".model").addEventListener("change", () => {
    state.model = at(".model").value;
    state.take = null;
    chosen = [];
    for (const which of ["A", "B"]) if (!state[key(which)].startsWith("upload:")) state[key(which)] = told.begin[key(which)];
    begin();
  });

  async function begin() {
    noProblems(table);
    at(".model").value = state.model;
    if (chosen.length) add();
    if (await read("A")) await read("B");
  }

  return {
    show(params) {
      if ([...params].length) {
        state.model = params.get("model") || told.begin.model;
        state.a = params.get("a") || told.begin.a;
        state.b = params.get("b") || told.begin.b;
        state.take = params.get("take");
        chosen = parsed(state.take ?? "");
      } else if (shown) {
        keep();
        return;
      }
      begin();
    },
    leave() {
      running.stop();
      reading.A.stop();
      reading.B.stop();
    },
  };
}
