// Landscape: a formula in the plane, and chains that sample it.

import * as api from "./api.js";
import { el, fixed, later, noProblems, note, problem, say } from "./dom.js";
import { changed, joined, terms, without } from "./formula.js";
import { Plane } from "./plane.js";
import { remember, share } from "./share.js";

const FRAME = `
<header class="head"><h1>Landscape</h1>
<p class="lead">Energies of the plane, added, negated and offered as alternatives; chains that sample the sum, and whether they tell the truth.</p></header>
<div class="sides wide-left">
<div class="main">
  <canvas class="plane" role="img" aria-label="Density of the formula, with the chains on it"></canvas>
  <div class="row under"><button type="button" class="again">Run again</button><button type="button" class="halt" disabled>Stop</button>
  <span class="count" role="status"></span></div>
</div>
<aside class="panel">
  <div data-field="formula">
    <h2>Formula</h2>
    <label class="text"><span class="hidden">Formula</span><input type="text" class="formula" spellcheck="false" autocomplete="off"></label>
    <div class="terms"></div>
    <div class="row joins" role="radiogroup" aria-label="A name is added with">
      <label><input type="radio" name="landscape-join" value="and" checked> and</label>
      <label><input type="radio" name="landscape-join" value="or"> or</label>
      <label><input type="radio" name="landscape-join" value="not"> not</label>
    </div>
    <div class="chips" role="group" aria-label="Energies of the plane"></div>
  </div>
  <div data-field="sampler">
    <h2>Sampler</h2>
    <label class="inline"><span class="hidden">Sampler</span><select class="sampler"></select></label>
    <p class="says"></p>
    <div data-field="step_size"><label class="slider">Step size <input type="range" class="step" min="-3" max="0.6" step="0.02"><output></output></label>
      <label class="check"><input type="checkbox" class="own"> <span>found by the sampler</span></label></div>
    <div data-field="temperature"><label class="slider">Temperature <input type="range" class="temperature" min="-1" max="1" step="0.02"><output></output></label></div>
    <div data-field="chains"><label class="slider">Chains <input type="range" class="chains" min="2" max="200" step="1"><output></output></label></div>
    <div data-field="steps"><label class="slider">Steps <input type="range" class="steps" min="50" max="2000" step="50"><output></output></label></div>
  </div>
  <div><h2>What the chains say</h2>
    <table class="numbers"><tbody>
      <tr><th scope="row">Acceptance</th><td class="acceptance">–</td><td></td></tr>
      <tr><th scope="row">Smallest ESS</th><td class="ess">–</td><td class="of"></td></tr>
      <tr><th scope="row">Largest R-hat</th><td class="rhat">–</td><td></td></tr>
      <tr><th scope="row">Mean x</th><td class="mx">–</td><td class="tx"></td></tr>
      <tr><th scope="row">Mean y</th><td class="my">–</td><td class="ty"></td></tr>
      <tr><th scope="row">Mean x² + y²</th><td class="ms">–</td><td class="ts"></td></tr>
    </tbody></table>
    <p class="verdict" role="status"></p>
  </div>
  <div data-field=""></div>
</aside></div>`;

export function mount(table, told) {
  table.innerHTML = FRAME;
  const at = (selector) => table.querySelector(selector);
  const plane = new Plane(at(".plane"));
  const running = new api.Running("landscape");
  const state = { formula: "", sampler: "mala", step_size: 0, temperature: 1, steps: 500, chains: 200, seed: 0, ...told.begin };
  const asked = () => ({ ...state });
  table.append(share(table, "landscape", ["png", "gif", "npz"], asked));

  async function run() {
    noProblems(table);
    remember("landscape", { ...asked(), step_size: state.step_size || "", temperature: state.temperature === 1 ? "" : state.temperature, seed: state.seed || "" });
    at(".halt").disabled = false;
    at(".verdict").textContent = "";
    try {
      const ended = await running.start(asked(), {
        note: (event) => note(table, event.text),
        density: (event) => plane.density(event),
        chains: (event) => {
          plane.chains(event);
          at(".count").textContent = `${event.n} of ${state.steps} steps`;
        },
        numbers,
      });
      if (ended) {
        at(".halt").disabled = true;
        say("The chains have ended.");
      }
    } catch (error) {
      at(".halt").disabled = true;
      problem(table, error.field, error.message);
    }
  }
  const soon = later(run, 160);

  function numbers(event) {
    at(".acceptance").textContent = fixed(event.acceptance, 2);
    at(".ess").textContent = fixed(event.ess, 0);
    at(".of").textContent = event.ess === null ? "" : `of ${Math.max(0, event.n - Math.floor(state.steps / 5)) * state.chains} draws`;
    at(".rhat").textContent = fixed(event.rhat, 3);
    for (const [k, letter] of [[0, "x"], [1, "y"]]) {
      at(`.m${letter}`).textContent = fixed(event.mean[k], 2);
      at(`.t${letter}`).textContent = `true ${fixed(event.mean_true[k], 2)}`;
    }
    if (event.square !== undefined) {
      at(".ms").textContent = fixed(event.square, 2);
      at(".ts").textContent = `true ${fixed(event.square_true, 2)}`;
    }
    if (!event.final) return;
    if (event.step_size && !state.step_size) showStep(event.step_size);
    if (event.z === null) {
      at(".verdict").textContent = "A descent draws no sample; there is no error to tell.";
      return;
    }
    const worst = Math.max(...event.z.map((z) => Math.abs(z ?? 0)));
    const right = worst < 4;
    const mixed = event.rhat < 1.1;
    at(".verdict").textContent = (right
      ? `Within ${worst.toFixed(1)} standard errors of the truth in mean x, y and energy`
      : `Off by ${worst.toFixed(1)} standard errors in mean x, y or energy: ${mixed ? "biased" : "biased, or not mixed"}`)
      + (right && !mixed ? "; but the chains have not mixed, as R-hat tells: each knows a part alone." : ".");
    at(".verdict").classList.toggle("bad", !right || !mixed);
  }

  // Formula
  function showTerms() {
    at(".formula").value = state.formula;
    at(".terms").replaceChildren(...terms(state.formula).map((term, number) => {
      const value = el("output", { text: term.weight.toFixed(2) });
      const slider = el("input", { type: "range", min: "0.05", max: "3", step: "0.05", value: String(term.weight), "aria-label": `Weight of ${term.name}` });
      slider.addEventListener("input", () => {
        state.formula = changed(state.formula, terms(state.formula)[number], { weight: Number(slider.value) });
        at(".formula").value = state.formula;
        value.textContent = Number(slider.value).toFixed(2);
        soon();
      });
      const negate = el("button", { type: "button", class: "sign", text: term.not ? "~" : "+", "aria-pressed": String(Boolean(term.not)), "aria-label": `Negate ${term.name}`,
        onclick: () => edit(changed(state.formula, term, { not: term.not ? "" : "~" })) });
      return el("div", { class: "term" }, negate, el("span", { class: "name", text: term.name }), slider, value,
        el("button", { type: "button", class: "remove", text: "×", "aria-label": `Remove ${term.name}`, onclick: () => edit(without(state.formula, term)) }));
    }));
  }
  function edit(text) {
    state.formula = text;
    showTerms();
    run();
  }
  at(".formula").addEventListener("change", () => edit(at(".formula").value.trim()));
  for (const name of told.energies) {
    const chip = el("button", { type: "button", class: "chip", text: name, draggable: true });
    chip.addEventListener("click", () => edit(joined(state.formula, name, at("[name=landscape-join]:checked").value)));
    chip.addEventListener("dragstart", (event) => event.dataTransfer.setData("text/energy", name));
    at(".chips").append(chip);
  }
  const canvas = at(".plane");
  canvas.addEventListener("dragover", (event) => { event.preventDefault(); });
  canvas.addEventListener("drop", (event) => {
    event.preventDefault();
    const name = event.dataTransfer.getData("text/energy");
    if (name) edit(joined(state.formula, name, at("[name=landscape-join]:checked").value));
  });

  // Sampler
  const group = (label, names) => el("optgroup", { label }, ...names.map((name) => el("option", { value: name, text: name })));
  at(".sampler").append(group("Samplers", Object.keys(told.samplers)), group("Broken, to see what bias looks like", Object.keys(told.broken)));
  const usual = () => told.samplers[state.sampler] ?? told.broken[state.sampler];
  function showStep(size) {
    at(".step").value = String(Math.log10(size));
    at(".step").nextElementSibling.textContent = size.toPrecision(2);
  }
  function showSampler() {
    at(".sampler").value = state.sampler;
    at(".says").textContent = told.says[state.sampler] || "";
    at(".own").checked = !state.step_size;
    at(".own").nextElementSibling.textContent = ["mala", "hmc", "tempering"].includes(state.sampler) ? "found in a warm-up" : `as usual, ${usual()}`;
    showStep(state.step_size || usual());
    at(".temperature").value = String(Math.log10(state.temperature));
    at(".temperature").nextElementSibling.textContent = Number(state.temperature).toPrecision(2);
    for (const name of ["chains", "steps"]) {
      at(`.${name}`).value = String(state[name]);
      at(`.${name}`).nextElementSibling.textContent = String(state[name]);
    }
  }
  const power = (input) => Number((10 ** Number(input.value)).toPrecision(3));
  at(".sampler").addEventListener("change", () => { state.sampler = at(".sampler").value; state.step_size = 0; showSampler(); run(); });
  at(".step").addEventListener("input", () => { state.step_size = power(at(".step")); at(".own").checked = false; showStep(state.step_size); soon(); });
  at(".own").addEventListener("change", () => { state.step_size = at(".own").checked ? 0 : power(at(".step")); showSampler(); run(); });
  at(".temperature").addEventListener("input", () => { state.temperature = power(at(".temperature")); showSampler(); soon(); });
  for (const name of ["chains", "steps"]) at(`.${name}`).addEventListener("input", () => { state[name] = Number(at(`.${name}`).value); showSampler(); soon(); });
  at(".again").addEventListener("click", () => { state.seed = (state.seed + 1) % 1000; run(); });
  at(".halt").addEventListener("click", () => { running.stop(); at(".halt").disabled = true; });

  return {
    show(params) {
      if ([...params].length) {
        state.formula = params.get("formula") ?? told.begin.formula;
        state.sampler = params.get("sampler") ?? "mala";
        for (const [name, first] of [["step_size", 0], ["temperature", 1], ["steps", 500], ["chains", 200], ["seed", 0]]) state[name] = Number(params.get(name) ?? first);
      }
      showTerms();
      showSampler();
      run();
    },
    leave() { running.stop(); },
  };
}
