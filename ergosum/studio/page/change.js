// Change: a start, a timeline, and the frames that the energies make.

import * as api from "./api.js";
import { el, later, noProblems, note, problem, say } from "./dom.js";
import { Pad } from "./drawing.js";
import { remember, share } from "./share.js";
import { Timeline, parsed } from "./timeline.js";

const FRAME = `
<header class="head"><h1>Change</h1>
<p class="lead">Each energy knows one kind of change. Lay them on the timeline; where bars overlap, the energies act together.</p></header>
<div class="sides">
<aside class="panel">
  <div data-field="start scale">
    <h2>Start</h2>
    <div class="row"><label class="inline">From <select class="source"></select></label>
      <button type="button" class="another" title="Another digit of this kind">Another</button></div>
    <div class="digits" role="group" aria-label="Digit"></div>
    <label class="slider">Size <input type="range" class="scale" min="0.3" max="1.4" step="0.05"><output></output></label>
    <h3>or your own</h3>
    <div class="own"><div class="pad-place"></div>
      <div class="pad-tools"><button type="button" class="clear">Clear</button>
      <a class="drawn" hidden download="drawn.png">drawn.png</a></div></div>
    <label class="drop"><input type="file" class="file" accept="image/*,.npy,video/*"><span>Upload an image, or a film to read</span></label>
  </div>
  <div data-field="cards"><h2>Energies</h2><div class="cards" role="group" aria-label="Energies"></div></div>
</aside>
<div class="main">
  <div data-field="timeline">
    <div class="scroll" tabindex="0" role="group" aria-label="Timeline and frames"><div class="grid">
      <div class="ruler" aria-hidden="true"></div>
      <div class="tracks-place"></div>
      <div class="strip truth" hidden><span class="strip-label">true</span><ol></ol></div>
      <div class="strip made"><span class="strip-label">made</span><ol></ol></div>
    </div></div>
    <div class="tools-place"></div>
    <label class="text">As text <input type="text" class="timeline" spellcheck="false" autocomplete="off"></label>
  </div>
  <div class="player">
    <img class="large" alt="" width="224" height="224">
    <div><div class="row"><button type="button" class="play">Play</button>
      <label class="inline">Frame <input type="range" class="at" min="0" max="0" value="0"><output class="where">0</output></label></div>
      <p class="fit"></p><p class="notes"></p>
      <label class="inline">Several at once <select class="how"><option value="split">in turn</option><option value="sum">as one sum</option></select></label>
      <div class="reading" aria-live="polite"></div></div>
  </div>
  <div data-field=""></div>
</div></div>`;

export function mount(table, told) {
  table.innerHTML = FRAME;
  const at = (selector) => table.querySelector(selector);
  const running = new api.Running("change");
  const reading = new api.Running("film");
  const state = { ...told.begin, how: "split" };
  let frames = [];
  let playing = 0;
  let begun = false;

  const timeline = new Timeline(told.most, () => {
    state.timeline = timeline.text;
    at(".timeline").value = state.timeline;
    soon();
  });
  at(".tracks-place").append(timeline.tracks);
  at(".tools-place").append(timeline.tools);

  const asked = () => ({
    cards: state.cards, start: state.start, scale: Number(state.scale), timeline: state.timeline, how: state.how,
  });
  table.append(share(table, "change", ["png", "gif", "npz"], asked));

  function keep() {
    remember("change", { ...asked(), cards: state.cards.join(" ") });
  }

  async function run() {
    noProblems(table);
    keep();
    if (!state.timeline) {
      problem(table, "timeline", "The timeline is empty; drag on a track to draw a bar.");
      return;
    }
    const made = at(".made ol");
    const truth = at(".truth ol");
    const shown = [];
    table.classList.add("busy");
    try {
      const ended = await running.start(asked(), {
        note: (event) => note(table, event.text),
        start: (event) => {
          at(".notes").textContent = event.notes.join(" ");
          at(".fit").textContent = "";
          if (event.factors.join() !== timeline.factors.join() || !begun) {
            timeline.set(parsed(state.timeline) || [], event.factors);
            begun = true;
          }
          ruler();
          made.replaceChildren();
          truth.replaceChildren();
        },
        frame: (event) => {
          shown.push(event);
          frames = shown;
          made.append(frame(event.n, event.image, "Made"));
          at(".truth").hidden = !event.truth;
          if (event.truth) truth.append(frame(event.n, event.truth, "True"));
          at(".at").max = String(shown.length - 1);
          if (!playing) look(shown.length - 1);
        },
        fit: (event) => { at(".fit").textContent = `${event.psnr.toFixed(1)} dB from the true sequence`; },
      });
      if (ended) say(`${shown.length} frames.`);
    } catch (error) {
      problem(table, error.field, error.message);
    } finally {
      table.classList.remove("busy");
    }
  }
  const soon = later(run, 90);

  function frame(n, image, kind) {
    const picture = el("img", { src: image, alt: `${kind} frame ${n}`, draggable: false });
    const item = el("li", { class: n ? "" : "first" }, picture);
    item.style.setProperty("--column", n + 1);
    item.addEventListener("click", () => { stop(); look(n); });
    return item;
  }

  function ruler() {
    const marks = [];
    for (let n = 0; n < timeline.columns; n += 1) {
      marks.push(el("span", { text: n === 0 ? "start" : n % 5 === 0 || n === 1 ? String(n) : "·" }));
    }
    at(".ruler").replaceChildren(...marks);
    at(".grid").style.setProperty("--columns", timeline.columns);
  }

  function look(n) {
    const event = frames[n];
    if (!event) return;
    at(".large").src = event.image;
    at(".large").alt = `Frame ${n}`;
    at(".at").value = String(n);
    at(".where").textContent = String(n);
    for (const item of table.querySelectorAll(".strip li")) item.classList.toggle("now", item.style.getPropertyValue("--column") === String(n + 1));
  }

  function stop() {
    clearInterval(playing);
    playing = 0;
    at(".play").textContent = "Play";
  }

  at(".play").addEventListener("click", () => {
    if (playing) { stop(); return; }
    at(".play").textContent = "Pause";
    let n = Number(at(".at").value);
    playing = setInterval(() => { n = (n + 1) % Math.max(1, frames.length); look(n); }, 220);
  });
  at(".at").addEventListener("input", () => { stop(); look(Number(at(".at").value)); });
  at(".timeline").addEventListener("change", () => {
    state.timeline = at(".timeline").value.trim();
    timeline.set(parsed(state.timeline) || [], timeline.factors);
    run();
  });
  at(".how").addEventListener("change", () => { state.how = at(".how").value; run(); });

  // Start
  for (const source of told.sources) at(".source").append(el("option", { value: source, text: source }));
  for (let digit = 0; digit < 10; digit += 1) {
    at(".digits").append(el("button", { type: "button", text: String(digit), "data-digit": String(digit), onclick: () => begin(`${at(".source").value}:${digit}`) }));
  }
  function begin(start) {
    state.start = start;
    showStart();
    run();
  }
  function showStart() {
    const found = /^([a-z][a-z0-9-]*):(\d)(?:@(\d+))?$/.exec(state.start);
    if (found && found[1] !== "upload") at(".source").value = found[1];
    for (const button of table.querySelectorAll(".digits button")) {
      button.setAttribute("aria-pressed", String(Boolean(found) && found[1] !== "upload" && button.dataset.digit === found[2]));
    }
    at(".another").disabled = !found;
    at(".scale").disabled = !found;
    at(".scale").value = String(state.scale);
    at(".scale").nextElementSibling.textContent = Number(state.scale).toFixed(2);
  }
  at(".source").addEventListener("change", () => {
    const found = /:(\d)/.exec(state.start);
    begin(`${at(".source").value}:${state.start.startsWith("upload") || !found ? 7 : found[1]}`);
  });
  at(".another").addEventListener("click", () => {
    const [, kind, number = "0"] = /^([a-z][a-z0-9-]*:\d)(?:@(\d+))?$/.exec(state.start);
    begin(`${kind}@${(Number(number) + 1) % 10}`);
  });
  at(".scale").addEventListener("input", () => {
    state.scale = Number(at(".scale").value);
    showStart();
    soon();
  });

  const pad = new Pad(async () => {
    const file = await pad.file();
    const link = at(".drawn");
    if (link.href) URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(file);
    link.hidden = false;
    given(file);
  });
  at(".pad-place").append(pad.canvas);
  at(".clear").addEventListener("click", () => { pad.clear(); at(".drawn").hidden = true; });

  async function given(file) {
    noProblems(table);
    try {
      const kept = await api.upload(file);
      if (kept.kind === "film") await film(kept);
      else begin(`upload:${kept.id}`);
    } catch (error) {
      problem(table, error.field || "start", error.message);
    }
  }
  const input = at(".file");
  input.addEventListener("change", () => { if (input.files[0]) given(input.files[0]); input.value = ""; });
  const drop = at(".drop");
  for (const kind of ["dragover", "dragenter"]) {
    table.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  for (const kind of ["dragleave", "drop"]) table.addEventListener(kind, () => drop.classList.remove("over"));
  table.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files[0]) given(event.dataTransfer.files[0]);
  });

  async function film(kept) {
    const place = at(".reading");
    const stopping = el("button", { type: "button", text: "Stop", onclick: () => reading.stop() });
    const row = el("ol", { class: "film" });
    const line = el("p", { class: "progress", text: `Reading ${kept.name} …` });
    place.replaceChildren(el("h3", { text: `Film ${kept.name}` }), row, line, stopping);
    const stages = { calibrate: "Calibrating on held-out pairs", read: "Reading the film's pairs" };
    try {
      const ended = await reading.start({ film: kept.id, cards: state.cards }, {
        film: (event) => row.replaceChildren(...event.frames.map((image, n) => el("li", {}, el("img", { src: image, alt: `Film frame ${n}` })))),
        progress: (event) => { line.textContent = `${stages[event.stage]}: ${event.done} of ${event.of} …`; },
        read: (event) => {
          line.textContent = `Read: ${event.timeline}`;
          place.append(el("ul", { class: "stretches" }, ...event.stretches.map((s) => el("li", { text: stretch(s) }))));
          state.timeline = event.timeline;
          at(".timeline").value = event.timeline;
          timeline.set(parsed(event.timeline) || [], timeline.factors);
          run();
        },
      });
      if (!ended) line.textContent = "Stopped.";
    } catch (error) {
      place.replaceChildren();
      problem(table, error.field, error.message);
    } finally {
      stopping.remove();
    }
  }

  function stretch(s) {
    const frames = s.first === s.last ? `frame ${s.first}` : `frames ${s.first}–${s.last}`;
    if (s.foreign) return `${frames}: no energy explains it`;
    if (!s.moves.length) return `${frames}: nothing moves`;
    return `${frames}: ${s.moves.map(([f, z, d]) => `${f} ${z > 0 ? "+" : "−"}${Math.abs(z).toFixed(2)} ± ${d.toFixed(2)}`).join(", ")}`;
  }

  // Energies
  function showCards() {
    at(".cards").replaceChildren(...told.cards.map((card) => {
      const box = el("input", { type: "checkbox", value: card });
      box.checked = state.cards.includes(card);
      box.addEventListener("change", () => {
        const chosen = [...at(".cards").querySelectorAll("input:checked")].map((b) => b.value);
        if (!chosen.length) { box.checked = true; return; }
        state.cards = [...state.cards.filter((c) => chosen.includes(c)), ...chosen.filter((c) => !state.cards.includes(c))];
        run();
      });
      return el("label", { class: "check" }, box, ` ${card}`);
    }));
  }

  return {
    show(params) {
      if ([...params].length) {
        state.cards = (params.get("cards") || told.begin.cards.join(" ")).split(" ").filter(Boolean);
        state.start = params.get("start") || told.begin.start;
        state.scale = params.get("scale") || told.begin.scale;
        state.timeline = params.get("timeline") || told.begin.timeline;
        state.how = params.get("how") || "split";
      }
      at(".how").value = state.how;
      at(".timeline").value = state.timeline;
      if (begun) timeline.set(parsed(state.timeline) || [], timeline.factors);
      showStart();
      showCards();
      run();
    },
    leave() {
      stop();
      running.stop();
      reading.stop();
    },
  };
}
