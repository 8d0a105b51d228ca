// A timeline as bars on tracks, one track for each energy; bars that overlap act together.

import { el, say } from "./dom.js";

const STILL = "still";
const TWICE = 500; // milliseconds within which a bar that is pressed twice turns round
const MOVE = /^([A-Za-z_][\w-]*?)(?:\*([+-]?\d*\.?\d+))?$/;

const round = (value) => Math.round(value * 10000) / 10000;

// Bars {factor, first, frames, speed} of a text such as "scale:3 colour+angle:-4"; null if it cannot be read.
export function parsed(text) {
  const bars = [];
  let first = 0;
  for (const part of text.replaceAll(",", " ").split(/\s+/).filter(Boolean)) {
    const found = /^([^:]+):([+-]?\d+)$/.exec(part);
    if (!found || Number(found[2]) === 0) return null;
    const frames = Math.abs(Number(found[2]));
    const sign = Math.sign(Number(found[2]));
    if (found[1] !== STILL) {
      for (const token of found[1].split("+").reduce(joined, [])) {
        const move = MOVE.exec(token);
        if (!move) return null;
        const speed = round(sign * (move[2] === undefined ? 1 : Number(move[2])));
        const before = bars.find((b) => b.factor === move[1] && b.first + b.frames === first && b.speed === speed);
        if (before) before.frames += frames;
        else bars.push({ factor: move[1], first, frames, speed });
      }
    }
    first += frames;
  }
  return bars;
}

// "angle*+0.5" was cut at its sign.
function joined(parts, token) {
  if (parts.length && parts.at(-1).endsWith("*")) parts[parts.length - 1] += `+${token}`;
  else parts.push(token);
  return parts;
}

// The text of bars; where none acts the frame stands still.
export function written(bars, factors) {
  const cuts = [...new Set(bars.flatMap((b) => [b.first, b.first + b.frames]).concat(0))].sort((a, b) => a - b);
  const parts = [];
  for (let i = 0; i + 1 < cuts.length; i += 1) {
    const moves = {};
    for (const bar of bars) {
      if (bar.first <= cuts[i] && cuts[i] < bar.first + bar.frames) {
        moves[bar.factor] = round((moves[bar.factor] || 0) + bar.speed);
      }
    }
    const acting = factors.filter((f) => moves[f]).map((f) => [f, moves[f]]);
    const last = parts.at(-1);
    const key = JSON.stringify(acting);
    if (last && last.key === key) last.frames += cuts[i + 1] - cuts[i];
    else parts.push({ key, acting, frames: cuts[i + 1] - cuts[i] });
  }
  return parts.map(({ acting, frames }) => {
    if (!acting.length) return `${STILL}:${frames}`;
    const sign = acting.every(([, speed]) => speed < 0) ? -1 : 1;
    const names = acting.map(([f, speed]) => (speed * sign === 1 ? f : `${f}*${round(speed * sign)}`));
    return `${names.join("+")}:${sign * frames}`;
  }).join(" ");
}

const length = (bars) => Math.max(0, ...bars.map((b) => b.first + b.frames));

// The editor; `changed(bars)` is called with every change that a person makes.
export class Timeline {
  constructor(most, changed) {
    this.most = most;
    this.changed = changed;
    this.bars = [];
    this.factors = [];
    this.chosen = null;
    this.pressed = null;
    this.tracks = el("div", { class: "tracks" });
    this.tools = el("div", { class: "bar-tools", role: "group", "aria-label": "Chosen bar" });
  }

  get text() { return written(this.bars, this.factors); }

  get columns() { return Math.min(this.most + 1, Math.max(14, length(this.bars) + 3)); }

  set(bars, factors) {
    this.bars = bars.filter((b) => factors.includes(b.factor));
    this.factors = factors;
    this.chosen = null;
    this.draw();
  }

  // From outside, in terms of frames: column 0 is the start, a bar's first frame is column 1.
  draw() {
    const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.bar : undefined;
    this.tracks.style.setProperty("--columns", this.columns);
    this.tracks.replaceChildren(...this.factors.map((factor, row) => this.track(factor, row)));
    if (focused !== undefined) this.tracks.querySelector(`[data-bar="${focused}"]`)?.focus();
    this.drawTools();
  }

  track(factor, row) {
    const lane = el("div", { class: "lane", "data-factor": factor });
    this.bars.forEach((bar, number) => { if (bar.factor === factor) lane.append(this.bar(bar, number, row)); });
    lane.addEventListener("pointerdown", (event) => { if (event.target === lane) this.sketch(event, factor, lane); });
    const label = el("button", {
      type: "button", class: `track-label c${row % 7}`, text: factor, "data-factor": factor,
      title: `Drag ${factor} onto its track, or press to add it at the end`, "aria-label": `Add ${factor} at the end`,
    });
    label.addEventListener("pointerdown", (event) => this.carry(event, factor, lane, label));
    label.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        this.add({ factor, first: length(this.bars), frames: 3, speed: 1 });
      }
    });
    return el("div", { class: "track", role: "group", "aria-label": `Track of ${factor}` }, label, lane);
  }

  bar(bar, number, row) {
    const back = bar.speed < 0;
    const made = el("button", {
      type: "button", class: `bar c${row % 7}${back ? " back" : ""}${this.chosen === bar ? " chosen" : ""}`,
      "data-bar": String(number), "aria-label": told(bar),
      "aria-keyshortcuts": "ArrowLeft ArrowRight Shift+ArrowRight F Delete",
    }, el("span", { class: "grip start", "aria-hidden": "true" }),
    el("span", { class: "sign", "aria-hidden": "true", text: (back ? "−" : "+") + (Math.abs(bar.speed) === 1 ? "" : round(Math.abs(bar.speed))) }),
    el("span", { class: "grip end", "aria-hidden": "true" }));
    made.style.setProperty("--first", bar.first + 1);
    made.style.setProperty("--frames", bar.frames);
    made.addEventListener("pointerdown", (event) => this.drag(event, bar, made));
    made.addEventListener("focus", () => this.choose(bar));
    made.addEventListener("keydown", (event) => this.key(event, bar));
    return made;
  }

  choose(bar) {
    if (this.chosen === bar) return;
    this.chosen = bar;
    for (const other of this.tracks.querySelectorAll(".bar")) {
      other.classList.toggle("chosen", this.bars[Number(other.dataset.bar)] === bar);
    }
    this.drawTools();
  }

  drawTools() {
    const bar = this.chosen;
    if (!bar || !this.bars.includes(bar)) {
      this.tools.replaceChildren(el("span", { class: "hint", text: "Drag on a track to draw a bar; drag a bar to move it, its ends to resize it; press it twice to turn it round." }));
      return;
    }
    const speed = el("input", { type: "range", min: "0.1", max: "2", step: "0.1", value: String(Math.abs(bar.speed)), "aria-label": "Levels per frame" });
    speed.addEventListener("input", () => this.change(bar, { speed: round(Math.sign(bar.speed) * Number(speed.value)) }, false));
    this.tools.replaceChildren(
      el("span", { class: "told", text: told(bar) }),
      el("label", { class: "inline" }, "Speed ", speed, el("output", { text: round(Math.abs(bar.speed)) })),
      el("button", { type: "button", text: "Turn round", onclick: () => this.flip(bar) }),
      el("button", { type: "button", text: "Remove", onclick: () => this.remove(bar) }),
    );
  }

  column(lane, x) {
    const box = lane.getBoundingClientRect();
    return Math.floor((x - box.left) / (box.width / this.columns)) - 1;
  }

  fitted(bar) {
    const frames = Math.max(1, Math.min(this.most, bar.frames));
    return { ...bar, frames, first: Math.max(0, Math.min(this.most - frames, bar.first)) };
  }

  change(bar, what, tools = true) {
    const before = JSON.stringify(bar);
    Object.assign(bar, this.fitted({ ...bar, ...what }));
    if (JSON.stringify(bar) === before) return;
    if (tools) this.draw();
    else {
      this.tracks.querySelector(`[data-bar="${this.bars.indexOf(bar)}"] .sign`).textContent = (bar.speed < 0 ? "−" : "+") + round(Math.abs(bar.speed));
      this.tools.querySelector("output").textContent = round(Math.abs(bar.speed));
    }
    this.changed();
  }

  add(bar) {
    const made = this.fitted(bar);
    this.bars.push(made);
    this.chosen = made;
    this.draw();
    this.changed();
    say(`Added ${told(made)}.`);
    return made;
  }

  flip(bar) {
    this.change(bar, { speed: -bar.speed });
    say(told(bar));
  }

  remove(bar) {
    this.bars = this.bars.filter((other) => other !== bar);
    this.chosen = null;
    this.draw();
    this.changed();
    say("Removed.");
    this.tracks.querySelector(".bar, .track-label")?.focus();
  }

  key(event, bar) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const faster = { ArrowUp: 0.1, ArrowDown: -0.1 }[event.key];
    if (step && event.shiftKey) this.change(bar, { frames: bar.frames + step });
    else if (step) this.change(bar, { first: bar.first + step });
    else if (faster) this.change(bar, { speed: round(Math.sign(bar.speed) * Math.min(2, Math.max(0.1, Math.abs(bar.speed) + faster))) });
    else if (event.key === "f" || event.key === "-") this.flip(bar);
    else if (event.key === "Delete" || event.key === "Backspace") this.remove(bar);
    else return;
    event.preventDefault();
  }

  // Move a bar, or one of its ends.
  drag(event, bar, made) {
    if (event.button) return;
    event.preventDefault();
    made.focus();
    this.choose(bar);
    const lane = made.parentElement;
    const grip = event.target.classList.contains("grip") ? event.target : null;
    const start = { ...bar };
    const wide = lane.getBoundingClientRect().width / this.columns;
    let moves = false;
    this.follow(event, (moved) => {
      const by = Math.round((moved.clientX - event.clientX) / wide);
      moves = moves || by !== 0;
      if (!grip) this.live(bar, { first: start.first + by });
      else if (grip.classList.contains("end")) this.live(bar, { frames: Math.max(1, start.frames + by) });
      else {
        const first = Math.max(0, Math.min(start.first + start.frames - 1, start.first + by));
        this.live(bar, { first, frames: start.frames + start.first - first });
      }
    }, () => {
      const again = this.pressed && this.pressed.bar === bar && performance.now() - this.pressed.when < TWICE;
      this.pressed = moves || again ? null : { bar, when: performance.now() };
      if (moves) this.draw();
      else if (again) this.flip(bar);
    });
  }

  // While a bar is dragged its element stays the same, so that the pointer keeps it.
  live(bar, what) {
    const before = JSON.stringify(bar);
    Object.assign(bar, this.fitted({ ...bar, ...what }));
    if (JSON.stringify(bar) === before) return;
    const made = this.tracks.querySelector(`[data-bar="${this.bars.indexOf(bar)}"]`);
    made.style.setProperty("--first", bar.first + 1);
    made.style.setProperty("--frames", bar.frames);
    made.setAttribute("aria-label", told(bar));
    this.tools.querySelector(".told").textContent = told(bar);
    this.changed();
  }

  // Draw a new bar on an empty place of a track.
  sketch(event, factor, lane) {
    if (event.button) return;
    event.preventDefault();
    const from = Math.max(0, this.column(lane, event.clientX));
    const bar = this.add({ factor, first: from, frames: 1, speed: 1 });
    const again = this.tracks.querySelector(`.lane[data-factor="${CSS.escape(factor)}"]`);
    this.follow(event, (moved) => {
      const to = Math.max(0, this.column(again, moved.clientX));
      this.live(bar, { first: Math.min(from, to), frames: Math.abs(to - from) + 1 });
    }, () => {
      this.draw();
      this.tracks.querySelector(`[data-bar="${this.bars.indexOf(bar)}"]`)?.focus();
    });
  }

  // Carry a factor from its label onto its track; pressed without moving it is added at the end.
  carry(event, factor, lane, label) {
    if (event.button) return;
    event.preventDefault();
    label.focus();
    const ghost = el("span", { class: `${label.className} ghost`, text: factor, "aria-hidden": "true" });
    let far = false;
    this.follow(event, (moved) => {
      far = far || Math.hypot(moved.clientX - event.clientX, moved.clientY - event.clientY) > 6;
      if (!far) return;
      if (!ghost.isConnected) document.body.append(ghost);
      ghost.style.left = `${moved.clientX}px`;
      ghost.style.top = `${moved.clientY}px`;
    }, (ended) => {
      ghost.remove();
      if (!far) this.add({ factor, first: length(this.bars), frames: 3, speed: 1 });
      else {
        const box = this.tracks.getBoundingClientRect();
        const inside = ended.clientY > box.top - 30 && ended.clientY < box.bottom + 30;
        const column = this.column(lane, ended.clientX);
        if (inside && column >= 0) this.add({ factor, first: column, frames: 3, speed: 1 });
      }
    });
  }

  follow(event, moved, ended) {
    const pointer = event.pointerId;
    const move = (e) => { if (e.pointerId === pointer) moved(e); };
    const up = (e) => {
      if (e.pointerId !== pointer) return;
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", up);
      removeEventListener("pointercancel", up);
      ended(e);
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", up);
    addEventListener("pointercancel", up);
  }
}

function told(bar) {
  const last = bar.first + bar.frames;
  const frames = bar.frames === 1 ? `frame ${last}` : `frames ${bar.first + 1} to ${last}`;
  const speed = Math.abs(bar.speed) === 1 ? "" : `, ${round(Math.abs(bar.speed))} levels per frame`;
  return `${bar.factor}, ${frames}, ${bar.speed < 0 ? "backwards" : "forwards"}${speed}`;
}
