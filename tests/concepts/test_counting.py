"""Objects at places: against closed forms where everything is Gaussian, and as commands on a tiny run."""

import json
import math
import warnings

import pytest
import torch

from ergosum.cli import main
from ergosum.concepts import LocalLifts, ObjectDensities, Objects
from ergosum.concepts.counting import as_asked, counted, spaced
from ergosum.concepts.local import background_of, corners, cut
from ergosum.concepts.one_object import drawing_somewhere, score_told, value_lifts
from ergosum.concepts.recipes import objects, scenes
from ergosum.data.attributed import Attribute, Attributed
from ergosum.data.concept_scenes import ConceptScenes
from ergosum.density.family import LowNoiseWarning
from ergosum.density.formulas import meaning, vocabulary
from ergosum.density.sampling import draw
from ergosum.energies.gaussian import Gaussian
from ergosum.energy import Call, Conditional, Energy
from ergosum.nodes import silence
from ergosum.part import Part
from ergosum.samplers.chain import finished
from ergosum.training.loop import train
from ergosum.training.runfolder import load_predictor
from tests.shrink import shrunk

SIDE, WINDOW = 12, 4
SPREAD = 0.3
"""Deviation of windows."""


class Tinted(Conditional):
    """Windows of independent normals of deviation .3 whose mean is the condition: brighter by so much."""

    def __init__(self, added: float = 0.0) -> None:
        super().__init__()
        self.variance, self.log_z = SPREAD**2 + added, 0.0

    def bind(self, z, anchor) -> Energy:
        class Member(Energy):
            remembers = False

            def forward(self, y) -> torch.Tensor:
                mean, v = z, self.variance
                return (((y - mean) ** 2 / v + math.log(2 * math.pi * v)) / 2).flatten(1).sum(1)

        member = Member()
        member.variance = self.variance
        return member

    def at_noise(self, sigma: float) -> "Tinted":
        return Tinted(self.variance - SPREAD**2 + sigma**2)


def ground() -> Gaussian:
    generator = torch.Generator().manual_seed(1)
    mean = torch.randn(1, SIDE, SIDE, generator=generator, dtype=torch.float64)
    return Gaussian(mean, 0.05 + 0.1 * torch.rand(1, SIDE, SIDE, generator=generator, dtype=torch.float64))


# windows of 4 of 12 pixels, two of them in corners; the second sample has one object less
PLACES = torch.tensor([[[2, 2], [10, 10], [6, 2]], [[2, 10], [math.nan, math.nan], [7, 5]]], dtype=torch.float64) / SIDE
TINTS = torch.tensor([[[1.0], [-2.0], [0.5]], [[3.0], [math.nan], [-1.0]]], dtype=torch.float64)
ROWS = [[(0, 0, 1.0), (8, 8, -2.0), (0, 4, 0.5)], [(8, 0, 3.0), (3, 5, -1.0)]]
"""First row and column of each window, and its tint."""


def known(sigma: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of the whole image: the background's, in a window the object's."""
    held = ground()
    mean, variance = held.mean.repeat(2, 1, 1, 1), held.variance.repeat(2, 1, 1, 1)
    for n, windows in enumerate(ROWS):
        for top, left, tint in windows:
            mean[n, :, top : top + WINDOW, left : left + WINDOW] += tint
            variance[n, :, top : top + WINDOW, left : left + WINDOW] = SPREAD**2
    return mean, variance + sigma**2


@pytest.mark.parametrize("sigma", [0.0, 0.2, 3.0])
def test_lifts_of_gaussians_are_the_gaussian_of_all_windows_at_every_level(sigma):
    energy = LocalLifts(ground(), Tinted(), PLACES, TINTS, WINDOW)
    energy = energy.at_noise(sigma) if sigma else energy
    x = torch.randn(6, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mean, variance = known(sigma)
    y = x.view(3, 2, 1, SIDE, SIDE)
    wanted = (((y - mean) ** 2 / variance + (2 * math.pi * variance).log()) / 2).flatten(2).sum(2).flatten()
    torch.testing.assert_close(energy(x), wanted)
    torch.testing.assert_close(energy.gradient(x), ((y - mean) / variance).flatten(0, 1))
    assert energy.log_z == 0
    base = ground().at_noise(sigma) if sigma else ground()
    torch.testing.assert_close(energy.ratios(x).sum(1), base(x) + base.log_z - wanted)
    assert (energy.ratios(x)[1::2, 1] == 0).all()  # an object that is not there


def test_a_composition_asks_the_family_of_windows_once_at_every_level(monkeypatch):
    attributes = [Attribute("shape", ("ball", "box")), Attribute("place", numbers=2)]
    model, generator = Objects(attributes, channels=1, side=SIDE, window=WINDOW), torch.Generator().manual_seed(0)
    at = {name: entry.energy for name, entry in model.somewhere(2, generator).items()}
    nobody, x = model.family.prior(), torch.randn(2, 1, SIDE, SIDE, generator=generator)
    call = nobody.call(x)
    assert isinstance(call, Call) and call.x.shape == (0, WINDOW**2)  # there is no window
    with silence():
        composed = at["box"] | at["ball"] | at["prior"] | nobody
    asked, body = [], model.family.windows.log_density
    monkeypatch.setattr(model.family.windows, "log_density", lambda y, *rest: asked.append(len(y)) or body(y, *rest))
    for energy in (composed, composed.at_noise(0.5)):
        alone = [part(x) for part in energy.parts]
        asked.clear()
        value = energy(x)
        assert asked == [6]
        torch.testing.assert_close(value, -torch.stack(alone).neg().logsumexp(0))


def test_overlapping_windows_are_a_product_of_lifts_that_is_not_normalised():
    places = torch.tensor([[[4, 4], [6, 6]]], dtype=torch.float64) / SIDE
    energy = LocalLifts(ground(), Tinted(), places, torch.ones(1, 2, 1, dtype=torch.float64), WINDOW)
    assert energy.apart() == 2 and energy.log_z is None
    x = torch.randn(3, 1, SIDE, SIDE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    alone = [
        LocalLifts(ground(), Tinted(), places[:, k : k + 1], torch.ones(1, 1, 1).double(), WINDOW)(x) for k in (0, 1)
    ]
    base = ground()(x) + ground().log_z
    torch.testing.assert_close(energy(x), alone[0] + alone[1] - base)


def test_windows_at_the_border_are_whole_and_beyond_it_refused():
    places = torch.tensor([[[2 / 12, 2 / 12], [10 / 12, 2 / 12], [0.5, 10 / 12]]])
    assert corners(places, 4, 12).tolist() == [[[0, 0], [0, 8], [8, 4]]]
    image = torch.arange(144.0).view(1, 1, 12, 12)
    assert cut(image, places, 4)[0, 1, 0].tolist() == [
        [8, 9, 10, 11],
        [20, 21, 22, 23],
        [32, 33, 34, 35],
        [44, 45, 46, 47],
    ]
    with pytest.raises(ValueError, match=r"place: expected numbers from 0.166667 to 0.833333, .* got 0.1, 0.5"):
        corners(torch.tensor([0.1, 0.5]), 4, 12)


def test_windows_may_be_moved_inside_and_are_told_where_the_object_is_in_them():
    """Objects at the border, in the model as in the energy: the window nearest to the place that is whole."""
    place = torch.tensor([[[0.02, 0.5], [1.0, 0.9]]])
    assert corners(place, 4, 12, moved=True).tolist() == [[[4, 0], [8, 8]]]
    image = torch.arange(144.0).view(1, 1, 12, 12)
    assert cut(image, place, 4, moved=True)[0, 0, 0, 0].tolist() == [48, 49, 50, 51]
    with pytest.raises(ValueError, match=r"place: expected numbers from 0 to 1, got 1.1, 0.5\."):
        corners(torch.tensor([1.1, 0.5]), 4, 12, moved=True)
    energy = LocalLifts(ground(), Tinted(), place[:, :1].double(), torch.ones(1, 1, 1).double(), WINDOW, True)
    x = torch.randn(2, 1, SIDE, SIDE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    inside = torch.tensor([[[2 / 12, 0.5]]], dtype=torch.float64)
    whole = LocalLifts(ground(), Tinted(), inside, torch.ones(1, 1, 1).double(), WINDOW)
    torch.testing.assert_close(energy.at_noise(0.2)(x), whole.at_noise(0.2)(x))
    moved, still = (scenes_model(moved) for moved in (True, False))
    edge = torch.tensor([[0.0, 0.0, 0.1, 0.5]])
    assert moved.family.told(edge)[0, 2:].tolist() == pytest.approx([0.1, 0.5, 0.1 * 16 - 4 + 0.5, 0.5])
    with pytest.raises(ValueError, match=r"place: expected numbers from 0\.25"):
        still.family(edge[None])


@pytest.mark.parametrize("recipe", [objects, scenes])
def test_draws_of_recipes_begin_in_noise_that_hides_their_windows(recipe):
    task = recipe().but(task={"data": {"count": 200}}).built()
    record = task.images.attributed(200, torch.Generator().manual_seed(0))
    model = task.build()
    with warnings.catch_warnings():
        warnings.simplefilter("error", LowNoiseWarning)
        model.family.fit(model.encode(record.images), record.values)
    with pytest.warns(LowNoiseWarning, match="the highest noise level, 4, is only 1"):
        model.family.windows.highest = 4.0
        model.family.fit(model.encode(record.images), record.values)


def scenes_model(moved: bool) -> Objects:
    data = ConceptScenes(side=32)
    return Objects([Attribute("a", ("x", "y")), Attribute("b", ("u",)), data.attributes[-1]], 3, 16, 8, moved=moved)


class Told:
    """Drawn as asked for, unless it was never shown: then as something else."""

    attributes = (Attribute("shape", ("ball", "box")), Attribute("place", numbers=2))

    def attributed(self, n, generator):
        values = torch.rand(n, 3, generator=generator)
        values[:, 0] = (values[:, 0] > 0.5).float()
        return Attributed(values[:, :, None, None], values)

    def held_out(self, values):
        return values[:, 0] == 1

    held_out_pair = held_out

    def read(self, images):
        return images[:, :, 0, 0]


def test_what_was_never_shown_is_scored_apart(monkeypatch):
    """Draws are handed their values, but for boxes, which come out as balls: seen ones are right, and no other."""
    monkeypatch.setattr("ergosum.concepts.one_object.drawn_images", lambda model, energy, n, generator: energy)

    class Model:
        attributes = Told.attributes

        @staticmethod
        def family(rows):
            made = rows[:, 0].clone()
            made[:, 0] = 0
            return made[:, :, None, None]

        @staticmethod
        def somewhere(n, generator):
            return {}

    monkeypatch.setattr("ergosum.concepts.one_object.value_lifts", lambda model, values: values[:, :, None, None])
    monkeypatch.setattr("ergosum.concepts.one_object.score_formulas", lambda *given: {"nested": 0.5})
    told = score_told(Model, Told(), 200, 0)
    assert (told["and_seen"], told["and_held_out"], told["lifted_held_out"]) == (1, 0, 1)
    assert told["reader"]["all"] == 1 and told["nested"] == 0.5 and "and_held_out_place" not in told
    assert [(goal["value"], goal["met"]) for goal in told["targets"]] == [(1, True), (0, False)]
    assert [row["row"] for row in told["conjunctions"]] == ["and_seen", "and_held_out", "lifted_seen",
                                                            "lifted_held_out"]  # fmt: skip
    monkeypatch.setattr(Told, "held_out", lambda self, values: torch.zeros(len(values), dtype=torch.bool))
    assert score_told(Model, Told(), 20, 0) == {}


def test_values_of_one_object_are_lifts_over_its_place(run):
    _, model = load_predictor(run)
    values = ConceptScenes(only={"size": "small"}, count=4, split="test").at(torch.arange(3)).values[:, 0]
    x = model.encode(torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    energy, bare = value_lifts(model, values), values.clone()
    bare[:, model.family.others] = torch.nan
    wanted = model.family(bare[:, None])(x)
    for column in model.family.others:
        one = bare.clone()
        one[:, column] = values[:, column]
        wanted = wanted + model.family(one[:, None])(x) - model.family(bare[:, None])(x)
    torch.testing.assert_close(energy(x), wanted, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize(("places", "conditions", "said"), [
    (torch.zeros(1, 0, 2), torch.zeros(1, 0, 1), "one object or more"),
    (torch.full((1, 2, 2), 0.5), torch.zeros(1, 1, 1), r"got \(1, 2, 2\) and \(1, 1, 1\)"),
])  # fmt: skip
def test_lifts_without_objects_or_of_other_shapes_are_refused(places, conditions, said):
    with pytest.raises(ValueError, match=said):
        LocalLifts(ground(), Tinted(), places, conditions, WINDOW)
    with pytest.raises(ValueError, match="pixels are independent, got covariances"):
        LocalLifts(
            Gaussian(torch.zeros(3), torch.eye(3)), Tinted(), torch.full((1, 1, 2), 0.5), torch.zeros(1, 1, 1), 4
        )


def test_the_background_is_found_behind_objects():
    generator = torch.Generator().manual_seed(0)
    n, spread = 2000, 0.05
    x = 0.3 + spread * torch.randn(n, 1, 4, 4, generator=generator)
    hidden = torch.rand(n, 1, 4, 4, generator=generator) < 0.05
    mean, variance = background_of(torch.where(hidden, 0.95, x))
    # with 5 % on one side the median is the quantile .5 / .95, .066 deviations off; its error is 1.25 / sqrt n
    assert ((mean - 0.3) / spread).abs().max() < 0.066 + 4.5 * 1.2533 / n**0.5
    # of the second moment around it, 1 + .066^2, at most 6 in 10^5 of a normal cut away; error sqrt(2 / n)
    assert (variance.sqrt() / spread - 1).abs().max() < 0.01 + 4.5 / (2 * n) ** 0.5


def test_random_windows_do_not_overlap():
    places = spaced(50, 8, 8, 32, torch.Generator().manual_seed(0))
    first = corners(places, 8, 32)
    distance = (first[:, :, None] - first[:, None]).abs().amax(-1) + 99 * torch.eye(8, dtype=torch.long)
    assert distance.min() >= 8 and places.min() >= 1 / 8 and places.max() <= 7 / 8
    assert (places.mean((0, 1)) - 0.5).abs().max() < 4.5 * 0.75 / 12**0.5 / 400**0.5
    for k in (0, 9):
        with pytest.raises(ValueError, match=r"expected 1 .. 8 objects"):
            spaced(1, k, 8, 32, torch.Generator())


def test_counting_notices_one_object_too_many_too_few_and_of_another_colour():
    attributes = ConceptScenes.attributes
    wanted = torch.tensor([[[math.nan, 1, math.nan, 0.3, 0.3], [0, 2, 0, 0.7, 0.7]]]).repeat(4, 1, 1)
    both = torch.tensor([[2.0, 1, 0, 0.33, 0.31], [0, 2, 0, 0.7, 0.72]])
    more = torch.cat([both, torch.tensor([[0.0, 0, 0, 0.5, 0.2]])])
    other = both.clone()
    other[0, 1] = 5
    told = counted(attributes, wanted, [both, more, both[1:], other])
    assert told["count"].tolist() == [2, 3, 1, 2] and told["extra"].tolist() == [0, 1, 0, 0]
    assert told["placed"].tolist() == [2, 2, 1, 2] and told["right"].tolist() == [2, 2, 1, 1]


def test_the_rules_count_the_objects_that_are_drawn():
    data = ConceptScenes(only={"size": "small"}, count=8, split="test")
    generator = torch.Generator().manual_seed(0)
    places = spaced(8, 4, 8, 32, generator)
    kinds = torch.tensor([0.0, 1, 0]).expand(8, 4, 3)
    images = data.drawn(torch.cat([kinds, places], 2), generator)
    assert data.count(images).tolist() == [4] * 8
    fewer = torch.cat([kinds, places], 2)
    fewer[:, 0] = math.nan
    assert data.count(data.drawn(fewer, generator)).tolist() == [3] * 8


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("objects") / "run"
    for _ in train(tiny(), out, accelerator="cpu"):
        pass
    return out


def tiny():
    return shrunk(objects()).but(optimiser={"iterations": 12, "batch": 8})


def test_a_run_draws_what_a_formula_asks_for(run, tmp_path, capsys):
    out = tmp_path / "grid.png"
    arguments = ["--model", str(run), "--n", "2", "--steps", "4", "--out", str(out)]
    assert main(["sample", "at(0.3,0.6) & at(0.7,0.4)", *arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert out.is_file() and told["formula"] == "at(0.3,0.6) & at(0.7,0.4)" and sum(told["counts"]) == 2
    assert 0 <= told["satisfied"] <= 1
    assert main(["sample", "red(0.3,0.6) & cube(0.7,0.4) | prior", *arguments]) == 0
    assert "hold exactly what was asked for" in capsys.readouterr().out


def test_the_prior_is_the_background_alone(run):
    _, model = load_predictor(run)
    made = draw([model], model.family.prior(), 8, torch.Generator().manual_seed(0), steps=20)
    apart = (made.x - model.family.mean) / model.family.variance.sqrt()
    assert apart.mean().abs() < 0.2 and apart.abs().mean() < 1.5


@pytest.mark.parametrize(("formula", "said"), [
    ("red & blue", "nothing satisfies this"),
    ("large & at(0.3,0.6)", "no energy is called 'large'"),
    ("at(0.3,1.6)", "place: expected 2 numbers in [0, 1]"),
    ("at(0.05,0.5)", "place: expected numbers from 0.125 to 0.875"),
    ("at(0.3,0.6) & at(0.35,0.6)", "two places are 1 pixels apart; expected at least 4"),
    ("red & blue & at(0.3,0.6)", "an object has one colour"),
    ("red(0.3,0.6) & blue(0.3,0.6)", "an object has one colour"),
    ("~at(0.3,0.6)", "told in numbers and has no share"),
])  # fmt: skip
def test_what_cannot_be_drawn_is_told_in_one_line(run, tmp_path, capsys, formula, said):
    assert main(["sample", formula, "--model", str(run), "--n", "2", "--out", str(tmp_path / "x.png")]) == 1
    error = capsys.readouterr().err
    assert said in error and len(error.strip().splitlines()) == 1


def test_formulas_tell_of_one_object_or_of_all(run):
    _, model = load_predictor(run)
    assert isinstance(model, Objects)
    known = vocabulary([model])

    def rows(formula: str) -> list[list[float]]:
        energy = meaning(formula, known)
        assert isinstance(energy, LocalLifts)
        return model.rows_of(energy)[:, :2].nan_to_num(-1).tolist()

    assert rows("red & at(0.3,0.6) & at(0.7,0.4)") == [[-1, 1], [-1, 1]]
    assert rows("red(0.3,0.6) & blue(0.7,0.4)") == [[-1, 1], [-1, 2]]
    assert rows("red(0.3,0.6) & cube(0.3,0.6) & at(0.7,0.4)") == [[1, 1], [-1, -1]]
    with pytest.raises(ValueError, match="red: expected a place too, such as red & at"):
        known["red"].energy(torch.zeros(1, 3, 32, 32))
    found = [torch.tensor([[1.0, 1, 0, 0.3, 0.6]]), torch.tensor([[1.0, 2, 0, 0.3, 0.6]]), torch.zeros(0, 5)]
    either = meaning("0.5:red(0.3,0.6) | 0.5:prior", known)
    assert as_asked(model, either, found).tolist() == [True, False, True]


def test_a_formula_without_a_place_draws_one_object_somewhere(run, tmp_path, capsys):
    """Each draw at a place of training of its own: what values tell is told of the object there, all at once."""
    _, model = load_predictor(run)
    known = model.somewhere(3, torch.Generator().manual_seed(0))
    places = known["red"].energy.places[:, 0]
    assert (torch.cdist(places, model.family.spots).amin(1) == 0).all() and len(places.unique(dim=0)) > 1
    assert all(torch.equal(entry.energy.places[:, 0], places) for entry in known.values())
    both = meaning("red & cube", known)
    assert isinstance(both, LocalLifts) and torch.equal(both.places[:, 0], places)
    assert both.conditions[:, 0, model.family.own][:, :2].tolist() == [[1, 1]] * 3
    pairs = model.somewhere(8, torch.Generator().manual_seed(0), particles=2)["red"].energy.places.view(8, 2, 2)
    assert torch.equal(pairs[:, 0], pairs[:, 1]) and not torch.equal(pairs[:-1], pairs[1:])
    out = tmp_path / "x.png"
    for formula in ("red & cube", "0.9:red | 0.1:blue", "red & ~cube"):
        options = ["--n", "3", "--steps", "4", "--out", str(out), "--json"]
        assert main(["sample", formula, "--model", str(run), *options]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["n"] == 3 and 0 <= told["satisfied"] <= 1 and told["judge"] == "its reader"
    assert out.stat().st_size > 1000


def test_many_draws_somewhere_come_in_parts_with_places_of_their_own(run, monkeypatch):
    monkeypatch.setattr("ergosum.concepts.one_object.CHUNK", 4)
    _, model = load_predictor(run)
    with silence():
        told = finished(drawing_somewhere(model, "red & ~cube", None, 6, torch.Generator().manual_seed(0), steps=2,
                                          corrections=0, particles=1, film=True))  # fmt: skip
    assert told.drawn.x.shape == (6, 3, 32, 32) and told.last == 2
    assert all(level.shape[0] == 6 for level in told.drawn.film)
    assert told.energy(told.drawn.x[-2:]).shape == (2,)
    with pytest.raises(ValueError, match="n: expected at least 1, got 0"):
        finished(drawing_somewhere(model, "red", None, 0, torch.Generator().manual_seed(0), steps=2))


def test_weights_kept_before_places_were_still_load(run):
    _, model = load_predictor(run)
    state = model.state_dict()
    del state["family.spots"]
    fresh = load_predictor(run)[1]
    fresh.load_state_dict(state)
    assert torch.equal(fresh.family.spots, model.family.spots)  # as they stood


def test_scores_and_report_are_made(run, capsys, monkeypatch):
    monkeypatch.setattr("ergosum.concepts.counting.LEVELS", 4)
    for module in ("elsewhere", "finding_scores"):
        monkeypatch.setattr(f"ergosum.concepts.{module}.LEAST", 3)
    assert main(["score", str(run), "--n", "2"]) == 0
    assert "exactly the number asked for" in capsys.readouterr().out
    told = json.loads((run / "scores.json").read_text())
    assert {(r["row"], r["asked"]) for r in told["counts"]} == {
        (row, k) for row in ("lifts", "told", "sum", "true images") for k in (1, 2)
    }  # fmt: skip
    true = [r for r in told["counts"] if r["row"] == "true images"]
    assert all(r["exact"] == 1 and r["placed"] == 1 and r["extra"] == 0 for r in true)
    assert told["source"] == "ConceptScenes"
    assert main(["report", str(run)]) == 0


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="counts: expected one object"):
        ObjectDensities(counts=0)
    with pytest.raises(ValueError, match="one of two numbers, the place of an object, got shape"):
        Objects(ConceptScenes.attributes[:3])
    with pytest.raises(ValueError, match="window: expected a side in pixels up to that of the image, 32, got 33"):
        Part(Objects, window=33).build(attributes=ConceptScenes.attributes)
