"""The comparison of compositions of concepts: every row end to end on a tiny run, and its formulas in closed form."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from ergosum.concepts import one_object
from ergosum.concepts import task as concepts_task
from ergosum.concepts.recipes import digits, latents, scenes
from ergosum.concepts.scores import Asked
from ergosum.data import ConceptScenes
from ergosum.density.formulas import vocabulary
from ergosum.training.loop import train
from ergosum.training.runfolder import load_predictor
from tests.concepts.exact import exact
from tests.shrink import shrunk

N = 6
QUICK = ["--minutes", "0.02", "--n", str(N)]
X = torch.randn(7, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture(scope="module")
def codecs(tmp_path_factory):
    """A tiny run of solids, and one of digits of which most pairs of digit and colour are missing."""
    patch, made = pytest.MonkeyPatch(), {}
    patch.setattr(concepts_task, "FITTED", 64)
    partial = digits().but(task={"data": {"support": "partial"}})
    for name, recipe in (("solids", latents()), ("digits", partial)):
        made[name] = tmp_path_factory.mktemp("codecs") / name
        for _ in train(shrunk(recipe).but(optimiser={"iterations": 6}), made[name], accelerator="cpu"):
            pass
    patch.undo()
    return made


@pytest.fixture
def rivals(script, monkeypatch):
    made = script("concepts_rivals")
    monkeypatch.setattr(made, "ALPHAS", (0.01, 0.3))
    monkeypatch.setattr(made, "GUIDANCE", (1.0, 7.5))
    return made


@pytest.fixture
def bench(rivals, script, monkeypatch):
    learnt, made = script("concepts_learnt"), script("concepts")
    monkeypatch.setattr("ergosum.density.sampling.LEVELS", 3)
    monkeypatch.setattr(concepts_task, "FITTED", 64)
    monkeypatch.setattr(learnt, "timed", lambda run: 0.4)
    every = made.formulas
    few = {"or": 2}  # with equal shares and with others; one of each other kind
    monkeypatch.setattr(made, "formulas", lambda given: {k: ones[: few.get(k, 1)] for k, ones in every(given).items()})
    monkeypatch.setattr(learnt, "BLOCKS", 1)
    monkeypatch.setattr(learnt.REPLAY.arguments["start"], "arguments", {"size": 64, "restart": 0.5})
    return made


def run(bench, codec, folder, *more):
    bench.main([*QUICK, "--codec", str(codec), "--out", str(folder / "out"), "--runs", str(folder / "runs"), *more])
    return {path.stem: json.loads(path.read_text()) for path in (folder / "out").glob("*.json")}


def test_every_row_is_trained_drawn_read_and_told(bench, codecs, tmp_path, capsys):
    told = run(bench, codecs["solids"], tmp_path)
    assert set(told) == set(bench.ROWS)
    ours, whole = told["parts"], told["whole"]
    for name, row in told.items():
        assert row["updates"] == 4 and row["cpu_seconds"] > 0 and row["reader"] > 0.9 and row["codec"] == "solids"
        assert name == "parts" or row["weights"] > 2 * ours["weights"], name
        assert 0 <= row["and_seen"] <= 1 and 0 <= row["not_leak"] <= 1 and row["seconds_64"] > 0
        assert ("or_tv" in row) == ("nested" in row) == (name != "guidance")
    # three levels: a step and one correction each, of one member; or four of them of four members and the prior
    assert ours["gradients"] < whole["gradients"] / 4
    assert told["whole-smc"]["gradients"] > 6 * whole["gradients"] and told["sum"]["gradients"] < whole["gradients"]
    assert told["joint"]["gradients"] == ours["gradients"] and whole["cpu_minutes"] == told["sum"]["cpu_minutes"]
    assert told["classifiers"]["cpu_minutes"] > told["classifiers"]["cpu_seconds"] / 60
    assert [one["strength"] for one in told["sum"]["tried"]] == [0.01, 0.3]
    assert told["sum"]["not_leak"] == min(one["not_leak"] for one in told["sum"]["tried"] if one["strength"]
                                          == told["sum"]["strengths"]["not_leak"])  # fmt: skip
    printed = capsys.readouterr().out
    assert "true images" in printed and "which are not counted" in printed and "published" not in printed


def test_what_was_learned_in_other_codes_is_not_taken_for_what_is_learned_in_these(bench, codecs, tmp_path):
    codec = tmp_path / "solids"
    shutil.copytree(codecs["solids"], codec)
    run(bench, codec, tmp_path, "--row", "parts")
    weights = load_file(codec / "model.safetensors")
    name = next(k for k, v in weights.items() if v.is_floating_point() and "codec" in k)
    save_file({**weights, name: weights[name] + 0.01}, codec / "model.safetensors")  # trained on, under the same name
    run(bench, codec, tmp_path, "--row", "parts")
    assert len(list((tmp_path / "runs").glob("parts-*"))) == 2


def test_draws_that_leave_all_bounds_score_nothing(bench, codecs, tmp_path, monkeypatch):
    def wild(*_, **__):
        raise bench.NonFiniteError("energy")

    monkeypatch.setattr(bench, "draw", wild)
    monkeypatch.setattr(bench, "cost", lambda *_: {})
    told = run(bench, codecs["solids"], tmp_path, "--row", "joint")["joint"]
    assert told["and_seen"] == told["nested"] == 0 and told["not_leak"] == 1
    assert told["or_tv"] == told["or_tv_9"] == told["not_tv"] == 1 and told["or_p"] < 1e-6
    assert told["tried"][0]["failed"] == N * 5  # a conjunction and four formulas


def test_coloured_digits_follow_the_protocol_of_coind(bench, codecs, tmp_path, capsys, monkeypatch):
    rows = ["--data", "mnist", "--row", "parts", "--row", "guidance"]
    told = run(bench, codecs["digits"], tmp_path, *rows)
    for row in told.values():
        assert row["support"] == "partial" and all(0 <= row[k] <= 1 for k in ("and", "not_digit", "not_colour"))
        assert len(row["tried"][0]["formulas"]) == 20
    assert set(told["guidance"]["strengths"]) == {"and", "not_digit", "not_colour"}
    printed = capsys.readouterr().out
    monkeypatch.setattr(bench, "decoded", lambda model, x: torch.zeros(len(x), *model.image))
    blank = run(bench, codecs["digits"], tmp_path, "--data", "mnist", "--row", "parts")["parts"]
    assert blank["and"] == blank["not_digit"] == blank["not_colour"] == 0 and blank["tried"][0]["failed"] == 0
    assert "CoInD, 1 (published)" in printed and "0.544" in printed and "mnist partial" in printed

    class Answers:
        """In place of draws: all pairs right, and digits with the one colour that they shall not have."""

        method, known = bench.Ours(), None

        def together(self, values):
            seen.append(values)
            return values

    seen, asked = [], []
    monkeypatch.setattr(bench, "formula_row", lambda one, *_: asked.append(one.formula) or {"satisfied": 0.25})
    task = bench.codec_of(str(codecs["digits"]), "mnist", "").data
    holder = type("Holder", (), {"images": task.build(split="train")})
    Answers.of = None
    told = bench.coind(Answers(), holder, lambda values: values, 162)
    assert told["and"] == 1 and told["not_colour"] == 0.25
    assert len(seen[0].unique(dim=0)) == 81 and holder.images.held_out(seen[0]).all()
    assert asked[0] == "red & ~zero" and asked[9] == "white & ~(eight | nine)" and asked[19] == "nine & ~white"


@pytest.mark.parametrize(("codec", "more", "said"), [
    ("solids", ["--data", "mnist"], "the images of"),
    ("solids", ["--support", "uniform"], "has none; leave it away"),
    ("mnist-density", [], "expected a run of concepts in codes"),
    ("nothing", [], "There is no card or run folder"),
    ("solids", ["--minutes", "0"], "--minutes: expected a number > 0"),
])  # fmt: skip
def test_what_cannot_be_compared_is_told_in_one_line(bench, codecs, tmp_path, capsys, codec, more, said):
    with pytest.raises(SystemExit):
        run(bench, codecs.get(codec, codec), tmp_path, *more)
    assert said in capsys.readouterr().err


def test_a_codec_that_has_seen_all_pairs_says_nothing_of_unseen_ones(bench, tmp_path):
    from ergosum.training.runfolder import save_recipe

    save_recipe(tmp_path, digits())
    with pytest.raises(ValueError, match="has seen pairs that the support leaves out"):
        bench.codec_of(str(tmp_path), "mnist", "partial")


@pytest.mark.parametrize("method, formula, shares, wanted", [
    ("Summed", "(red | green) & ~box", None, lambda e, p: either(e["red"], e["green"]) - 0.3 * e["box"]),
    ("Summed", "red | green", (9, 1), lambda e, p: either(e["red"], e["green"], (0.9, 0.1))),
    ("Summed", "~red", None, lambda e, p: p - 0.3 * e["red"]),
    ("Summed", "red & ~(ball & green)", None, lambda e, p: e["red"] - 0.3 * (e["ball"] + e["green"])),
    ("Reused", "red & box", None, lambda e, p: e["red"] + e["box"] - p),
    ("Reused", "red | green", None, lambda e, p: either(3.5 * e["red"], 3.5 * e["green"]) / 3.5),
    ("Reused", "~red", None, lambda e, p: 1.3 * p - 0.3 * e["red"]),
    ("Reused", "ball & ~(red | blue)", None, lambda e, p: 1.3 * e["ball"] - 0.15 * (e["red"] + e["blue"])),
    ("Guided", "red & ~box", None, lambda e, p: p + 0.3 * (e["red"] - p) - 0.3 * (e["box"] - p)),
    ("Guided", "ball & (red | green)", None, None),
    ("Classified", "red & ~box", None, lambda e, p: p + e["red"] - 0.3 * e["box"]),
    ("Classified", "red | green", (9, 1), lambda e, p: p + either(e["red"], e["green"], (0.9, 0.1))),
])  # fmt: skip
def test_formulas_of_others_are_theirs(rivals, method, formula, shares, wanted):
    model, generator = exact(independent=False), torch.Generator().manual_seed(0)
    known = vocabulary([model])
    made = rivals.Reused() if method == "Reused" else getattr(rivals, method)(0.3)
    energy = made.formula([model, model], known, Asked(formula, shares), 7, generator)
    if wanted is None:
        assert energy is None
        return
    for sigma in (0.0, 0.7):  # at every noise level, the same of the terms there
        told = {name: entry.energy.at_noise(sigma)(X) for name, entry in known.items()}
        assert torch.allclose(energy.at_noise(sigma)(X), wanted(told, told["prior"]))
    assert energy.has_value == (method != "Reused")


def either(a, b, shares=(0.5, 0.5)):
    return -(torch.stack([-a, -b], 1) + torch.tensor(shares, dtype=torch.float64).log()).logsumexp(1)


def test_values_are_joined_as_formulas_are(rivals):
    model = exact(independent=False)
    values = torch.tensor([[0.0, 1.0, torch.nan, torch.nan]]).repeat(7, 1)
    known, generator = vocabulary([model]), torch.Generator().manual_seed(0)
    for method in (rivals.Ours(), rivals.Summed(0.1), rivals.Reused(), rivals.Guided(2.0), rivals.Classified(0.1)):
        one = method.formula([model, model], known, Asked("red & box"), 7, generator)(X)
        assert torch.allclose(method.together([model, model], values)(X), one - _empty(method, model)), method


def _empty(method, model):
    """What a place of which nothing is told adds: the prior, where others do not take it away again."""
    return -model.family.prior()(X) if type(method).__name__ in ("Summed", "Classified") else 0.0


def test_the_ceiling_picks_values_by_the_asked_shares(rivals):
    """Binomial shares of 4,000 picks, within five deviations."""
    model, n = exact(), 4000
    known, generator = vocabulary([model]), torch.Generator().manual_seed(0)

    def picked(formula, shares=None):
        return rivals.Joint().formula([model], known, Asked(formula, shares), n, generator).c

    def near(share, wanted):
        return abs(float(share) - wanted) < 5 * (wanted * (1 - wanted) / n) ** 0.5

    c = picked("red | green", (0.9, 0.1))
    assert near((c[:, 0] == 0).float().mean(), 0.9) and (c[:, 0] <= 1).all() and c[:, 1:].isnan().all()
    c = picked("~red & box")
    assert near((c[:, 0] == 1).float().mean(), 0.6) and (c[:, 0] >= 1).all() and (c[:, 1] == 1).all()
    c = picked("ball | box")
    assert near((c[:, 1] == 0).float().mean(), 0.5)


def test_classifiers_give_the_likelihood_of_what_is_told(script):
    """Softmax and Gaussian of known outputs, each attribute by itself; what is not told adds nothing."""
    learnt = script("concepts_learnt")
    attributes = (learnt.Attribute("colour", ("red", "blue")), learnt.Attribute("place", numbers=2))
    family = learnt.Classifiers((3,), attributes, width=8)
    said = torch.tensor([1.0, 3.0, 0.2, 0.5, 0.0, -1.0])
    torch.nn.init.zeros_(family.form.body.numbers.weight)
    family.form.body.numbers.bias.data.copy_(said)
    c = torch.tensor([[1.0, 0.2, 0.5], [0.0, torch.nan, torch.nan], [torch.nan, 0.2, 1.5], [torch.nan] * 3])
    named = torch.tensor([1.0, 3.0]).log_softmax(0)
    normal = [torch.distributions.Normal(m, s) for m, s in ((0.2, 1.0), (0.5, torch.e**-1))]
    at = [
        sum(d.log_prob(torch.tensor(v)) for d, v in zip(normal, place, strict=True))
        for place in ((0.2, 0.5), (0.2, 1.5))
    ]
    wanted = torch.stack([named[1] + at[0], named[0], at[1], torch.tensor(0.0)])
    assert torch.allclose(family.log_density(torch.randn(4, 3), torch.zeros(4), c), wanted)
    assert torch.allclose(family(c)(torch.randn(4, 3)), -wanted)
    assert learnt.Told(8, attributes).drop(c, 1.0, torch.Generator()) is c


def test_rests_change_the_rest_alone(script, codecs, capsys, monkeypatch):
    monkeypatch.setattr("ergosum.density.sampling.LEVELS", 3)
    made = script("concepts_rest")
    model = load_predictor(codecs["solids"])[1].eval()
    held = ConceptScenes(split="test", count=24).attributed(20, torch.Generator().manual_seed(0))
    found = made.rests(model, held.images, held.values, torch.Generator().manual_seed(0))
    parts, rest = slice(0, model.family.parts[-1].start), model.family.parts[-1]
    own = found["the same image"]
    assert all(torch.equal(x[:, parts], own[:, parts]) for x in found.values())
    other = found["another image"][:, rest]
    assert not torch.equal(other, own[:, rest])
    assert sorted(map(tuple, other.tolist())) == sorted(map(tuple, own[:, rest].tolist()))
    monkeypatch.setattr(made, "load_predictor", lambda card: (latents().but(task={"data": {"count": 24}}), model))
    made.main(["solids", "--n", "20"])
    printed = capsys.readouterr().out
    assert "the same image" in printed and "normal" in printed and "n = 20" in printed and "own encoder" in printed
    assert "Values guessed from the rest" in printed and "most frequent" in printed
    codes = torch.zeros(2, model.space.codec.latent)
    codes[0, [1, 3 + 6, 11 + 2]], codes[1, [2, 3, 11]] = 1.0, 1.0
    monkeypatch.setattr(model.space.codec, "encode", lambda images: codes)
    named = made.read_by_encoder(model, torch.zeros(2, 3, 32, 32))
    assert named[:, :3].tolist() == [[1, 6, 2], [2, 0, 0]] and named[:, 3:].isnan().all()


def test_a_forest_guesses_what_rests_tell_and_nothing_else(script, codecs):
    """Of 400 rests, half of them learned from: the standard error of a share of the others is at most 0.036."""
    made = script("concepts_rest")
    model = load_predictor(codecs["solids"])[1].eval()
    values = ConceptScenes(split="test", count=400).attributed(400, torch.Generator().manual_seed(0)).values
    rests = torch.randn(400, 3, generator=torch.Generator().manual_seed(1))
    rests[:, 1] += 30 * values[:, 1]  # the colour
    rows = {row["attribute"]: row for row in made.guessed(model, rests, values, 0)}
    assert list(rows) == ["shape", "colour", "size"]
    assert rows["colour"]["guessed"] > 0.8 and rows["colour"]["most frequent"] < 0.25
    for name in ("shape", "size"):
        assert rows[name]["guessed"] == pytest.approx(1 / 3, abs=4 * 0.036)


def test_draws_in_pixels_are_told_by_what_training_showed(script, monkeypatch, capsys):
    """Seen combinations are drawn right, others as another colour: the row of a run says so, and true images beside."""
    made = script("concepts_pixels")
    recipe = scenes().but(task={"data": {"count": 60}})
    data = recipe.built().data.build(split="test")
    model = recipe.built().build()

    def joined(model, values):
        wrong = data.held_out(values)[:, None] & (torch.arange(values.shape[1]) == 1)
        return torch.where(wrong, (values + 1) % 8, values)

    def drawn(model, values, n, generator):
        image = torch.zeros(n, 3, 32, 32)
        image[:, 0, 0, :5] = values
        return image

    def read(self, images):
        return images[:, 0, 0, :5] if (images[:, 1:] == 0).all() else rules(self, images)

    rules = type(data).read
    monkeypatch.setattr(made, "load_predictor", lambda run: (recipe, model))
    monkeypatch.setattr("ergosum.concepts.one_object.drawn_images", drawn)
    monkeypatch.setitem(one_object.WAYS, "and", joined)
    monkeypatch.setattr(type(data), "read", read)
    monkeypatch.delattr(type(data), "showing")  # so that no distances are measured
    made.main(["runs/pixels", "--n", "60"])
    rows = capsys.readouterr().out.splitlines()
    assert rows[-2].split() == ["runs/pixels", "1.000", "0.000", "0.000"]
    assert rows[-1].startswith("true images") and float(rows[-1].split()[2]) > 0.9
