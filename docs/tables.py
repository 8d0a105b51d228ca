"""Regenerate every table: `make tables` scores the runs under `runs/`; with `--train` it trains the missing ones first.

Writes `docs/results.md`, `docs/results.json`, `docs/speed.md` and the block of speeds in `docs/samplers.md`. Training all
runs takes about four hours on one CPU thread; scoring them about fifteen minutes.
"""

import argparse
import json
import statistics
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from ergosum import zoo
from ergosum.data.render import FACTORS
from ergosum.data.sources import load_digits
from ergosum.files import read_json
from ergosum.recipes import find
from ergosum.temporal.assignment import assignment
from ergosum.temporal.baselines.trivial import trivial
from ergosum.temporal.control import Bank
from ergosum.temporal.moves import as_predict, score_row, test_set
from ergosum.temporal.steering import composition, response, score_timelines
from ergosum.training.loop import DeadRunError, train
from ergosum.training.runfolder import load_predictor

RUNS, DOCS = Path("runs"), Path("docs")
KEYS = ("mse", "psnr", "skill", "psnr_12", "sharpness", "sharpness_12", "identity", "ffrl", "ffrl_skill")
HEADS = (
    "MSE",
    "PSNR [dB]",
    "skill",
    "PSNR at frame 12",
    "sharpness",
    "sharpness at 12",
    "identity",
    "equivariance error",
    "equivariance skill",
)
TRAINED = {"ours": "{f}", "feed-forward U-Net": "feedforward-unet-{f}",
           "feed-forward, transport network": "feedforward-transport-{f}", "report's networks": "report-{f}"}  # fmt: skip


def main() -> None:
    """Train what is missing (on request), score, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", action="store_true", help="train missing runs first")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--n", type=int, default=60, help="held-out sequences per factor and seed")
    parser.add_argument("--source", default="mnist")
    options = parser.parse_args()
    if options.train:
        train_missing(options.seeds)
    if not all(finished(f) for f in FACTORS):
        raise SystemExit(
            f"{RUNS} has no finished runs {', '.join(FACTORS)}, which the tables are made of; --train trains them."
        )
    torch.set_num_threads(1)
    seeds = range(options.seeds)
    results = {
        "factors": {f: factor_table(f, options.source, options.n, seeds) for f in FACTORS},
        "control": control(options.source, max(8, options.n // 6), seeds),
        "anchors": {f: ablation(f, options.source, options.n) for f in FACTORS},
        "losses": losses(options.source, options.n),
        "unsupervised": unsupervised(options.source, 2 * options.n, seeds),
        "shared": shared(options.source, options.n),
        "n": options.n, "seeds": options.seeds, "source": options.source,
    }  # fmt: skip
    put(DOCS / "results.md", write_page(results))
    (DOCS / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    write_speed()
    write_samplers_speed()


def folder(name: str, seed: int = 0) -> Path:
    """Run folder of a recipe under a seed."""
    return RUNS / (name if seed == 0 else f"{name}-seed{seed}")


def train_missing(seeds: int) -> None:
    """Train every run that the tables use and that is not there."""
    wanted = [(f"{p.format(f=f)}", s) for s in range(seeds) for p in TRAINED.values() for f in FACTORS]
    wanted += [("unsupervised", s) for s in range(seeds)] + [("unsupervised-report", s) for s in range(seeds)]
    wanted += [(n, 0) for n in ("shared-colour", "shared-scale", "shared-angle", "joint")]
    wanted += [(f"anchor-{a}-{f}", 0) for a in ("none", "start", "step") for f in FACTORS]
    wanted += [(f"loss-{o}-angle", 0) for o in ("last", "all", "path")]
    for name, seed in wanted:
        out = folder(name, seed)
        if (out / "run.json").exists():
            continue  # finished, or died
        experiment = find(name).but(name=out.name, run={"seed": seed})
        print("training", out, flush=True)
        try:
            for _ in train(experiment, out, resume=(out / "checkpoint.pt").exists()):
                pass
        except DeadRunError as error:
            print(error)


def finished(name: str, seed: int = 0) -> bool:
    """Whether the run is there."""
    path = folder(name, seed) / "run.json"
    return path.exists() and "died" not in read_json(path)


def died(name: str, seed: int = 0) -> bool:
    """Whether the run stopped giving back its input."""
    path = folder(name, seed) / "run.json"
    return path.exists() and "died" in read_json(path)


def short(factors: dict[str, Any]) -> list[str]:
    """One table of all factors, test set mixed: four columns."""
    lines = [
        "| factor | row | seeds | skill | PSNR [dB] | PSNR at frame 12 | identity |",
        "|---|---|---|---|---|---|---|",
    ]
    for factor, table in factors.items():
        for name, row in table["mixed"].items():
            if name == "blank":
                continue
            bold = "**" if name == "ours" else ""
            cells = " | ".join(cell(k, *row[k]) for k in ("skill", "psnr", "psnr_12", "identity"))
            lines.append(f"| {factor} | {bold}{name}{bold} | {row['seeds']} | {cells} |")
    return lines


def factor_table(factor: str, source: str, n: int, seeds: range) -> dict[str, Any]:
    """Rows of one factor: mean and standard deviation over seeds of weights and of held-out digits."""
    mean_digit = load_digits(source, "train").images.mean(0, keepdim=True)
    classify = zoo.Zoo().classifier("identity")
    collected: dict[str, dict[str, list[dict[str, Any]]]] = {"mixed": {}, "alone": {}}
    for seed in seeds:
        for kind, rows in collected.items():
            tests = test_set(factor, source, n, seed, kind)
            predicts = dict(trivial(mean_digit))
            for row, pattern in TRAINED.items():
                name = pattern.format(f=factor)
                if finished(name, seed) and not (kind == "mixed" and row.startswith("report")):
                    predicts[row] = as_predict(load_predictor(folder(name, seed))[1])
            for row, predict in predicts.items():
                rows.setdefault(row, []).append(score_row(row, predict, tests, classify))
            print(factor, kind, seed, flush=True)
    return {kind: {row: spread(found) for row, found in rows.items()} for kind, rows in collected.items()}


def spread(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation of each number over rows."""
    result: dict[str, Any] = {"seeds": len(rows)}
    for key in KEYS:
        values = [r[key] for r in rows]
        result[key] = [statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None]
    result["rollout_psnr"] = [statistics.fmean(v) for v in zip(*(r["rollout_psnr"] for r in rows), strict=True)]
    return result


def control(source: str, n: int, seeds: range) -> list[dict[str, Any]]:
    """Response, timelines and composition of the three energies of each seed, and of the feed-forward nets."""
    found = []
    reference = Bank([load_predictor(folder("joint"))[1]]) if finished("joint") else None
    for seed in seeds:
        for row in ("ours", "feed-forward U-Net"):
            names = [TRAINED[row].format(f=f) for f in FACTORS]
            if not all(finished(name, seed) for name in names):
                continue
            bank = Bank([load_predictor(folder(name, seed))[1] for name in names])
            entry = {"row": row, "seed": seed, **response(bank, source, 2 * n, seed)}
            entry |= score_timelines(bank, source, n, seed, classify=zoo.Zoo().classifier("identity"))
            if row == "ours":
                entry["composition"] = composition(bank, source, 2 * n, seed, reference=reference)
            found.append(entry)
            print("control", row, seed, flush=True)
    return found


def variants(names: dict[str, str], factor: str, source: str, n: int) -> dict[str, Any]:
    """Rows of runs that differ in one setting, seed 0: label -> scores, `dead`, or nothing where there is no run."""
    tests = test_set(factor, source, n, 0, "mixed")
    rows: dict[str, Any] = {}
    for label, name in names.items():
        if finished(name):
            row = score_row(name, as_predict(load_predictor(folder(name))[1]), tests)
            rows[label] = {k: row[k] for k in ("mse", "skill", "psnr_12")}
            rows[label]["cpu_seconds"] = read_json(folder(name) / "run.json")["cpu_seconds"]
        elif died(name):
            rows[label] = {"dead": True}
    return rows


def ablation(factor: str, source: str, n: int) -> dict[str, Any]:
    """Fixed, anchored once, re-anchored."""
    return variants({a: f"anchor-{a}-{factor}" for a in ("none", "start", "step")}, factor, source, n)


def losses(source: str, n: int) -> dict[str, Any]:
    """Loss on the last step, all steps, or the path."""
    return variants({on: f"loss-{on}-angle" for on in ("last", "all", "path")}, "angle", source, n)


def unsupervised(source: str, n: int, seeds: range) -> list[dict[str, Any]]:
    """The negative control."""
    rows = []
    for name in ("unsupervised", "unsupervised-report"):
        for seed in filter(lambda s: finished(name, s), seeds):
            experiment, predictor = load_predictor(folder(name, seed))
            rows.append(
                {"row": name, "seed": seed, **assignment(predictor, experiment.task.get("data"), source, n, seed)}
            )
    return rows


def shared(source: str, n: int) -> dict[str, Any]:
    """Experiment (b): one frozen encoder, three fine-tuned energies."""
    if not finished("shared-angle"):
        return {}
    _, predictor = load_predictor(folder("shared-angle"))
    rows = {
        f: score_row(f, as_predict(predictor, [predictor.components.index(f)]), test_set(f, source, n, 0, "mixed"))  # type: ignore[union-attr]
        for f in FACTORS
    }
    few = max(8, n // 6)
    bank = Bank([predictor])
    return {
        "rows": {f: {k: r[k] for k in ("mse", "psnr", "skill", "psnr_12")} for f, r in rows.items()},
        **response(bank, source, 2 * few, 0),
        **score_timelines(bank, source, few, 0, classify=zoo.Zoo().classifier("identity")),
    }


def write_page(r: dict[str, Any]) -> str:
    """The whole of docs/results.md."""
    lines = [
        "# Results", "",
        f"Regenerated by `python docs/tables.py --source {r['source']} --n {r['n']} --seeds {r['seeds']}` (`make tables`): "
        f"{r['n']} held-out sequences of 12 moves per factor and seed; mean ± standard deviation over seeds of weights, "
        "data order and held-out digits where a row has several (column *seeds*). CPU, one thread; training costs are in each run's `run.json`.", "",
        "There are two test sets. In *mixed*, one factor moves forwards or backwards and all three start at random levels (scale "
        "0.4..1.8). In *alone*, one factor moves forwards and the other two stay where they are; the report's own networks "
        "can be scored on this set only. Single moves start from true frames. *PSNR at frame 12* and *identity* are of "
        "roll-outs. The *equivariance error* is that of the flow-factorised protocol, roll-outs of 7 moves; the *equivariance "
        "skill* is 1 minus its ratio to the error of copying the first frame. The [glossary](glossary.md#sequences) explains "
        "all columns and rows.", "",
        "## In short", "", *short(r["factors"]), "",
        "The transport network is what makes the frames sharp: trained feed-forward, it predicts single moves as well. As an energy it "
        "can also be composed by formula.", "",
    ]  # fmt: skip
    for factor, table in r["factors"].items():
        for kind, rows in table.items():
            lines += [f"## {factor}, {kind}", "", *markdown(rows), ""]
    lines += ["## Control", "", *control_lines(r["control"]), ""]
    lines += ["## Anchors: the same U-Net inner-product energy, N = 2, 500 updates, one seed, test set mixed", "",
              "| anchor | " + " | ".join(f"{f}: MSE (skill)" for f in FACTORS) + " |", "|---|---|---|---|"]  # fmt: skip
    for anchor in ("none", "start", "step"):
        cells = [anchor_cell(r["anchors"][f].get(anchor)) for f in FACTORS]
        lines.append(f"| {anchor} | " + " | ".join(cells) + " |")
    lines += ["", "## Where the loss sits: transport energy, h = 1/2, N = 4, angle, equal training time, one seed", "",
              "| loss on | MSE | skill | PSNR at frame 12 | CPU s |", "|---|---|---|---|---|"]  # fmt: skip
    if not r["losses"]:
        lines.append("| not run yet: `python docs/tables.py --train` | | | | |")
    for on, row in r["losses"].items():
        lines.append(
            f"| {on} | {row['mse']:.5f} | {row['skill']:.3f} | {row['psnr_12']:.1f} | {row['cpu_seconds']:.0f} |"
        )
    lines += ["", "## Unsupervised on lockstep sequences: the negative control", "",
              "Each energy acts alone; the share of the movement that is its own factor's, under the best assignment. "
              "One third is chance for energies that all do the same; 1 would be separation.", "",
              "| networks | seed | share under the best assignment | response (energies x colour, angle, scale) |",
              "|---|---|---|---|"]  # fmt: skip
    for row in r["unsupervised"]:
        matrix = "; ".join(" ".join(f"{v:.2f}" for v in line) for line in row["response"])
        lines.append(f"| {row['row']} | {row['seed']} | {row['assigned_share']:.3f} | {matrix} |")
    if r["shared"]:
        lines += ["", "## One frozen encoder from the unsupervised run, energies fine-tuned 1 / 2 / 8 epochs, one seed", "",
                  "| factor | MSE | PSNR | skill | PSNR at frame 12 |", "|---|---|---|---|---|"]  # fmt: skip
        for factor, row in r["shared"]["rows"].items():
            lines.append(
                f"| {factor} | {row['mse']:.5f} | {row['psnr']:.1f} | {row['skill']:.3f} | {row['psnr_12']:.1f} |"
            )
        error = r["shared"]["timeline_error"]
        lines += ["", f"Diagonal share {r['shared']['diagonal_share']:.3f}; timelines within {error['hue_deg']:.1f}° hue, "
                  f"{error['angle_deg']:.1f}° angle, {error['log_scale']:.3f} log-scale."]  # fmt: skip
    return "\n".join(lines) + "\n"


def anchor_cell(row: dict[str, Any] | None) -> str:
    """One cell of the ablation."""
    if row is None:
        return "–"
    return "died" if row.get("dead") else f"{row['mse']:.5f} ({row['skill']:.3f})"


def markdown(rows: dict[str, Any]) -> list[str]:
    """Rows of one factor as a Markdown table."""
    lines = ["| row | seeds | " + " | ".join(HEADS) + " |", "|---|---|" + "---|" * len(HEADS)]
    for name, row in rows.items():
        cells = [cell(key, *row[key]) for key in KEYS]
        lines.append(f"| {name} | {row['seeds']} | " + " | ".join(cells) + " |")
    return lines


def cell(key: str, mean: float, deviation: float | None) -> str:
    """A number with its spread."""
    digits = {"mse": 5, "psnr": 1, "psnr_12": 1, "ffrl": 0}.get(key, 3)
    if key.startswith("psnr") and mean > 99:
        return "exact"
    return f"{mean:.{digits}f}" + (f" ± {deviation:.{digits}f}" if deviation is not None else "")


def control_lines(entries: list[dict[str, Any]]) -> list[str]:
    """Response, timelines, composition."""
    lines = ["| energies | seed | diagonal share | hue [°] | angle [°] | log-scale | PSNR [dB] | identity | reader: hue, angle, log-scale |",
             "|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for e in entries:
        t, q = e["timeline_error"], e["reader_error"]
        lines.append(
            f"| {e['row']} | {e['seed']} | {e['diagonal_share']:.3f} | {t['hue_deg']:.2f} | {t['angle_deg']:.2f} | "
            f"{t['log_scale']:.3f} | {e['timeline_psnr']:.1f} | {e['identity']:.3f} | {q['hue_deg']:.2f}, "
            f"{q['angle_deg']:.2f}, {q['log_scale']:.3f} |"
        )
    lines += ["", "Several factors at once for four frames; errors of the last frame against the true joint change.", "",
              "| factors | way | PSNR [dB] | hue [°] | angle [°] | log-scale |", "|---|---|---|---|---|---|"]  # fmt: skip
    pooled: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for e in entries:
        for row in e.get("composition", []):
            pooled.setdefault((row["factors"], row["row"]), []).append(row)
    for (factors, way), rows in pooled.items():
        mean = {k: statistics.fmean(r[k] for r in rows) for k in ("psnr", "hue_deg", "angle_deg", "log_scale")}
        lines.append(f"| {factors} | {way} | {mean['psnr']:.1f} | {mean['hue_deg']:.2f} | {mean['angle_deg']:.2f} | {mean['log_scale']:.3f} |")  # fmt: skip
    return lines


def write_speed() -> None:
    """docs/speed.md from the stored result of benchmarks/training_step.py."""
    r = read_json(Path("benchmarks/results/training_step_cpu.json"))
    lines = ["# Speed", "", "`python benchmarks/training_step.py --bf16 --compile --time-to-quality --out "
             "benchmarks/results/training_step_cpu.json`", "",
             f"One training step against a plain loop that does what COMET's released code does, same weights, same process, "
             f"one thread ({r['machine']}, torch {r['torch']}, median of {r['rounds']} interleaved rounds). The script's "
             "docstring says what is timed and how memory is measured. Relative differences are of 32-bit arithmetic.", "",
             "| network | K | N | loss differs | gradient differs | time | memory | contiguous: time | bf16: time | bf16: memory | compiled: time |",
             "|---|---|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    ratio = lambda c, k: f"{c[k]:.2f}x" if k in c else "–"  # noqa: E731
    for c in r["cases"]:
        cells = [ratio(c, k) for k in ("time_ratio", "memory_ratio", "contiguous_time_ratio", "bf16_time_ratio",
                                       "bf16_memory_ratio", "compile_time_ratio")]  # fmt: skip
        lines.append(
            f"| {c['net']} | {c['components']} | {c['steps']} | {c['loss_rel_diff']:.0e} | {c['grad_rel_diff']:.0e} | {' | '.join(cells)} |"
        )
    lines += ["", "## Time to quality", "", "CPU seconds of training until colour skill 0.9 on held-out MNIST.", "",
              "| networks | seconds | updates | skill reached |", "|---|---|---|---|"]  # fmt: skip
    for t in r.get("time_to_quality", []):
        seconds = f"{t['seconds']:.0f}" if t["seconds"] else f"not in {t['spent_s']:.0f}"
        lines.append(f"| {t['name']} | {seconds} | {t['updates']} | {t['skills'][0]:.3f} |")
    share = [read_json(p / "run.json").get("render_share") for p in RUNS.iterdir() if (p / "run.json").exists()]
    known = [s for s in share if s is not None]
    if known:
        lines += [
            "",
            f"Drawing the frames takes {min(known):.1%} to {max(known):.1%} of a training step's CPU time (`render_share` in each `run.json`).",
        ]
    apart = Path("benchmarks/results/decomposition_cpu.json")
    lines += decomposition_speed(read_json(apart)) if apart.exists() else []
    put(DOCS / "speed.md", "\n".join(lines) + "\n")


def decomposition_speed(r: dict[str, Any]) -> list[str]:
    """The section of docs/speed.md on the stored result of benchmarks/decomposition.py."""
    span = lambda ratio: "{:.2f}x ({:.2f} to {:.2f})".format(*ratio)  # noqa: E731
    first, job = r["training"][0], r["job"]
    trained = f"--seconds {r['quality'][0]['limit_s']:g}" if r.get("quality") else "--no-quality"
    lines = [
        "", "## Images decomposed", "",
        f"`python benchmarks/decomposition.py --rounds {r['rounds']} {trained} --images {job['images'] if job else 0} --out "
        "benchmarks/results/decomposition_cpu.json`", "",
        f"One thread, {r['machine']}, torch {r['torch']}, seed {r['seed']}, CPU time, medians of {r['rounds']} interleaved rounds with the "
        f"range of the ratio, commit {r['commit']}. *plain* does what COMET's released code does, *ours* is recipe `comet-code` (width "
        f"{first['width']}); loss and gradients agree within {max(max(c['differences']['ours']) for c in r['training']):.0e} (relative). "
        "*Energies* are of one component for one image, and as many gradients with respect to the image are taken, but for the plain "
        "loop's log. The script's docstring says more.", "",
        "Training, images per second:", "",
        "| pixels | batch | K | N | plain | ours | ours, bf16 | time | bf16: time | energies per image: plain, ours |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for c in r["training"]:
        rates = " | ".join(f"{c['images_per_s'][side]:.2f}" for side in ("plain", "ours", "bf16"))
        energies = ", ".join(f"{c['per_image'][side]['energies']:.0f}" for side in ("plain", "ours"))
        lines.append(f"| {c['side']} | {c['batch']} | {c['components']} | {c['steps']} | {rates} | {span(c['ratios']['ours'])} | {span(c['ratios']['bf16'])} | {energies} |")  # fmt: skip
    goal = r["target"]["time_ratio"]
    said = "; ".join(f"{v['side']} pixels {v['ratio']:.2f}x, {'met' if v['met'] else 'missed'}" for v in r["verdicts"])
    lines += ["", f"Target at K = {r['target']['components']} in 32 bits, {goal:g}x: {said}.", "",
              "Inference (latents, the whole, each component alone, masks), images per second:", "",
              "| network | pixels | batch | K | N | plain | ours | time | energies per image | decodes per image |",
              "|---|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for c in r["inference"]:
        plain = f"{c['images_per_s']['plain']:.1f}" if "ratios" in c else "–"
        time = span(c["ratios"]["ours"]) if "ratios" in c else "–"
        count = c["per_image"]["ours"]
        lines.append(f"| {c['net']} | {c['side']} | {c['batch']} | {c['components']} | {c['steps']} | {plain} | {c['images_per_s']['ours']:.1f} | {time} | {count['energies']:.0f} | {count.get('decodes', 0):.0f} |")  # fmt: skip
    steps = sorted({c["steps"] for c in r["memory"]})
    lines += ["", f"Peak MiB of a training step ({r['memory'][0]['batch']} images of {r['memory'][0]['side']} pixels), plain / ours / ours in bf16:", "",
              "| K | " + " | ".join(f"N = {n}" for n in steps) + " |", "|---|" + "---|" * len(steps)]  # fmt: skip
    for k in sorted({c["components"] for c in r["memory"]}):
        peaks = [c["peak_mib"] for c in r["memory"] if c["components"] == k]
        lines.append(
            f"| {k} | " + " | ".join(f"{p['plain']:.0f} / {p['ours']:.0f} / {p['bf16']:.0f}" for p in peaks) + " |"
        )
    if r.get("quality"):
        lines += ["", f"Foreground ARI {r['quality'][0]['goal']} on 64 held-out tetrominoes, scored every minute of training:", "",
                  "| recipe | CPU s | updates (of the recipe's) | energies | best ARI | curve |", "|---|---|---|---|---|---|"]  # fmt: skip
    for q in r.get("quality", []):
        at = q["reached"] or q["curve"][-1]
        seconds = f"{at['cpu_s']:.0f}" if q["reached"] else f"not in {at['cpu_s']:.0f}"
        curve = ", ".join(f"{c['fg_ari']:.2f}" for c in q["curve"])
        lines.append(f"| {q['net']} | {seconds} | {at['updates']:,} ({q['iterations']:,}) | {at['energies']:.1e} | {q['best']:.3f} | {curve} |")  # fmt: skip
    if not job:
        return lines
    memory = [job[part]["resident_mib"] for part in ("killed", "resumed")]
    resident = ", then ".join(f"{m['first_third']:.0f} and {m['last_third']:.0f}" for m in memory)
    lines += [
        "",
        f"`ergosum decompose` over {job['images']:,} images of 36 pixels, killed half-way with SIGKILL and started again: "
        f"{job['resumed']['counts']['before']:,} found done, {job['resumed']['counts']['written']:,} written, "
        f"{job['resumed']['counts']['skipped']} skipped of {job['broken']} broken; {job['images_per_cpu_s']:.0f} images per CPU second "
        f"with reading, writing and start-up; resident MiB in the first and the last third of the time {resident}. On {job['sample']['images']} "
        f"images a job that was killed ends with {'the same' if job['sample']['same_files'] else 'other'} files, byte for byte, as one that was not.",
    ]
    return lines


def write_samplers_speed() -> None:
    """The block of speeds in docs/samplers.md from the stored result of benchmarks/samplers.py."""
    r = read_json(Path("benchmarks/results/samplers_cpu.json"))
    sides = ("ours", "lean", "torchebm", "ebmkit")
    number = lambda v, digits=0: "–" if v is None else f"{v:,.{digits}f}"  # noqa: E731
    lines = [
        "`python benchmarks/samplers.py --rounds {rounds} --out benchmarks/results/samplers_cpu.json`".format(**r), "",
        f"Microseconds of CPU time per step (of HMC per leapfrog step) on one thread ({r['machine']}, torch {r['torch']}, torchebm "
        f"{r['peers']['torchebm']}, ebmkit {r['peers']['ebmkit']}; medians of {r['rounds']} interleaved rounds). "
        "*Lean* is the leanest loop we could write: one state, one noise buffer, no checks. Every kernel that is timed also follows its "
        "own law (largest |z| {:.1f}). *shared* are conditions of one network, *separate* networks of their own.".format(
            max(abs(z) for c in r["cases"] for z in c["law"].values() if z is not None)
        ), "",
        "| case | ours | lean | torchebm | ebmkit | ours / lean | / torchebm | / ebmkit | gradients: ours, torchebm, ebmkit |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for c in r["cases"]:
        times = " | ".join(number(c[s]) for s in sides)
        ratios = " | ".join(number(c["ratios"].get(s), 2) for s in sides[1:])
        gradients = ", ".join(number(c["gradients"].get(s), 1) for s in ("ours", "torchebm", "ebmkit"))
        lines.append(f"| {c['case']} | {times} | {ratios} | {gradients} |")
    met = sum(v["met"] for v in r["verdicts"])
    lines += ["", f"{met} of {len(r['verdicts'])} targets met; missed: " + ("; ".join(
        f"{v['target']}, {v['case']}: {v['ratio']:.2f} (at most {v['limit']:g})" for v in r["verdicts"] if not v["met"]
    ) or "none") + "."]  # fmt: skip
    lines += [
        "",
        "Effective draws per CPU second:",
        "",
        "| target | kernel | ours | torchebm | ebmkit |",
        "|---|---|---|---|---|",
    ]
    for e in r["ess"]:
        rates = " | ".join(number(e["ess_per_s"].get(s)) for s in ("ours", "torchebm", "ebmkit"))
        lines.append(f"| {e['target']} | {e['kernel']} | {rates} |")
    replace_block(DOCS / "samplers.md", "speed", lines)


def replace_block(page: Path, name: str, lines: list[str]) -> None:
    """Replace what stands between `<!-- name -->` and `<!-- /name -->`, unless rows would be lost, see `put`."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = page.read_text().partition(start)
    held, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"{page} has no place for this table: put the lines {start} and {end} where it belongs.")
    text = "\n".join(lines)
    refuse_loss(f"{page}, table {name!r}", held, text)
    page.write_text(f"{before}{start}\n{text}\n{end}{after}")


def put(page: Path, text: str) -> None:
    """Write a page, unless its tables would have less rows, or rows of less seeds, than those that stand there."""
    refuse_loss(str(page), page.read_text() if page.exists() else "", text)
    page.write_text(text)


def refuse_loss(what: str, held: str, text: str) -> None:
    """End the script with one line where tables would lose what they hold."""
    before, now = counted(held), counted(text)
    for kind, old in before.items():
        if now[kind] < old:
            raise SystemExit(
                f"{what} would go from {old} to {now[kind]} {kind}: what they were made of, such as runs under {RUNS}/, is "
                "not there. Bring it back or train it with --train; to leave rows out for good, delete them from the page "
                "first. The page is as it was."
            )


def counted(text: str) -> dict[str, int]:
    """Rows of all tables of a text below their headings, and the sum of their column of seeds where they have one."""
    rows, seeds, column = 0, 0, -1
    for line, after in pairwise([*text.splitlines(), ""]):
        if not line.startswith("|"):
            continue
        cells = [cell.strip() for cell in line.strip("|").split(" |")]
        if after.startswith("|---"):
            column = cells.index("seeds") if "seeds" in cells else -1
        elif not line.startswith("|---"):
            rows += 1
            seeds += int(cells[column]) if column >= 0 and cells[column].isdecimal() else 0
    return {"rows": rows, "seeds": seeds}


if __name__ == "__main__":
    main()
