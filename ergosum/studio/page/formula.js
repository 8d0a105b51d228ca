// A formula as text whose names carry sliders and signs: the text is what counts, and they edit it.

const NUMBER = String.raw`(?:\d+\.?\d*|\.\d+)`;
const NAME = String.raw`[A-Za-z_]\w*(?:[.-]\w+)*(?:\(\s*[-+]?${NUMBER}(?:\s*,\s*[-+]?${NUMBER})*\s*\))?`;
const TERM = new RegExp(String.raw`(?:(${NUMBER})\s*([*:])\s*)?(~(?:\[[^\]]*\])?)?\s*(${NAME})`, "g");

// Every name of a formula: where it stands with its sign and number, and what those are.
export function terms(text) {
  return [...text.matchAll(TERM)].map((found) => ({
    start: found.index + found[0].search(/\S/), end: found.index + found[0].length,
    weight: found[1] === undefined ? 1 : Number(found[1]), by: found[2] || "*", not: found[3] || "", name: found[4],
  }));
}

// The text with one of its terms changed.
export function changed(text, term, what) {
  const { weight, by, not, name } = { ...term, ...what };
  const number = Math.round(weight * 1000) / 1000;
  const before = number === 1 && by === "*" ? "" : `${number}${by}`;
  return text.slice(0, term.start) + before + not + name + text.slice(term.end);
}

// The text without one of its terms, and without the sign that joined it.
export function without(text, term) {
  const before = text.slice(0, term.start);
  const after = text.slice(term.end);
  if (/[&|]\s*$/.test(before)) return (before.replace(/\s*[&|]\s*$/, "") + after).trim();
  return (before + after.replace(/^\s*[&|]\s*/, "")).trim();
}

// The text with a name joined by AND, OR or NOT; an OR within an AND is kept as it is, in brackets.
export function joined(text, name, sign) {
  if (!text) return sign === "not" ? `~${name}` : name;
  if (sign === "or") return `${text} | ${name}`;
  const whole = outside(text).includes("|") ? `(${text})` : text;
  return `${whole} & ${sign === "not" ? "~" : ""}${name}`;
}

// What stands outside of all brackets.
function outside(text) {
  let depth = 0;
  let kept = "";
  for (const c of text) {
    if (c === "(") depth += 1;
    if (!depth) kept += c;
    if (c === ")") depth -= 1;
  }
  return kept;
}
