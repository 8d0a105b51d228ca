"""Scores of densities whose law is known, and of a small trained one."""

import json
import math
from types import SimpleNamespace

import pytest
import torch

from density.exact import MEANS, NAMES, VARIANCES, Dots, Exact
from ergosum.density.foreign import foreign_sets, plain_scores
from ergosum.density.posterior import choose_levels, log_densities, posterior
from ergosum.density.scores import Held, _classified, score_density
from ergosum.density.table import measure
from ergosum.density.tables import tables
from ergosum.metrics.calibration import ece
from ergosum.part import Part
from ergosum.recipes import find
from ergosum.report.tables import as_text


class Shelf:
    """A reader that tells a point's class by the mean it is nearest to, and whose features are the point."""

    def classifier(self, name):
        assert name in ("upright", "features")
        return self

    def __call__(self, images):
        return -torch.cdist(self.features(images), MEANS)

    def features(self, images):
        return 20 * images[:, 0, 0, :2] - 10


def scored(n=200, seed=0, near=1.0, sharp=1.0, names=NAMES):
    data = Part(Dots, near=near)
    task = SimpleNamespace(data=data, takes_source=False, of_digits=True, objective=None, source="dots")
    return score_density("exact", task, Exact(names, sharp, near), n, seed, shelf=Shelf())


@pytest.fixture(scope="module")
def told():
    return scored()


def test_the_true_density_has_the_scores_of_the_truth(told):
    assert told["sample_accuracy"] > 0.98 and told["accuracy"] > 0.98 and told["reader_accuracy"] > 0.98
    assert abs(told["kid"]) < 5 * told["kid_error"] and told["copies"] < 0.1  # as rare as 2 of 200 held-out points
    assert told["nearest"] == pytest.approx(told["nearest_true"], rel=0.4)
    # entropy of three Gaussians far apart, at the lowest noise, per number, in levels of 2 / 255
    nats = math.log(3) / 2 + 0.5 + (2 * math.pi * (VARIANCES + 0.02**2)).log().mean().item() / 2
    assert told["nats_per_dim"] == pytest.approx(nats, abs=4 * (1 / 200) ** 0.5 / 2)
    assert told["bits_per_dim"] == pytest.approx(told["nats_per_dim"] / math.log(2) - math.log2(2 / 255))


def test_rows_that_learned_nothing_fail_where_they_should(told):
    rows = {row["row"]: row for row in told["rows"]}
    assert rows["copies of training images"]["copies"] == 1 and rows["copies of training images"]["nearest"] == 0
    assert rows["blank"]["sample_accuracy"] == pytest.approx(1 / 3, abs=0.01)
    assert rows["mean image"]["sample_accuracy"] == 1 and rows["blank"]["kid"] > 50 * rows["true images"]["kid_error"]
    assert list(rows) == ["ours", "blank", "mean image", "copies of training images", "true images"]


def test_likelihood_tells_foreign_points_and_hardly_those_that_are_alike(told):
    assert told["auroc"]["constant"] > 0.95 and told["auroc"]["uniform"] > 0.9
    assert {"rotated", "inverted", "interpolated", "gaussian"} <= set(told["auroc"])
    for row in told["auroc_rows"]:
        assert {"likelihood", "pixel sum", "mean image"} <= set(row)


def test_calibration_is_told_of_classes_that_overlap(rng):
    """Bayes' rule of the truth, and of energies three times as sure, which read as well but say too much."""
    training, test = (Held(d.images, d.labels) for d in (Dots("train", 0.2), Dots("test", 0.2)))
    model, sure = Exact(near=0.2), Exact(near=0.2, sharp=3.0)
    honest, x = _classified(model, training, test, rng), model.encode(test.images)
    told = torch.stack([-model.family(torch.tensor(c))(x) for c in range(3)], 1)
    reached = (told.argmax(1) == test.labels).double().mean().item()
    assert 0.5 < reached < 0.95 and honest["accuracy"] == pytest.approx(reached, abs=4 * (0.25 / 1500) ** 0.5)
    # of 1,500 samples in 15 bins an honest classifier errs by about sqrt(15 / (4 * 1500)) = 0.05 at most
    assert honest["ece"] < 0.05 < 0.1 < ece(posterior(log_densities(sure, x, (0.02,), rng)), test.labels)
    assert honest["posterior_levels"] and max(honest["posterior_levels"]) < 1


def test_the_same_seed_scores_the_same_and_everything_is_plain(told):
    again = scored()
    assert json.loads(json.dumps(told)) == json.loads(json.dumps(again))
    text = "\n".join(as_text(table) for table in tables(told))
    assert "copies of training images" in text and "pixel sum" in text and "noise" in text


def test_a_density_without_classes_is_scored_for_what_it_has():
    told = scored(60, names=())
    assert told["accuracy"] is None and told["ece"] is None and told["sample_accuracy"] is None
    assert told["kid"] is not None and told["auroc"]


def test_levels_are_chosen_where_labels_are_likeliest(rng):
    model, data = Exact(near=0.5), Dots(near=0.5)
    x = model.encode(data.images)
    found = choose_levels(model, x, data.labels, rng)
    best = min(found.tried, key=lambda row: row[2])
    assert len(found.tried) == 8 and found.tried[0][0] == (0.02,) and set(best[0]) <= set(found.levels)
    told = log_densities(model, x[:50], (0.1, 1.0), rng)
    assert told.shape == (2, 50, 4) and torch.allclose(posterior(told).sum(1), torch.ones(50))
    # at a level, energies are those of points with its noise
    noised, mixture = log_densities(model, x, (1.0,), rng)[0, :, 3], model.family.at_noise(1.0).mixtures[0]
    fresh = -mixture(mixture.draw(1500, rng))
    assert noised.mean().item() == pytest.approx(fresh.mean().item(), abs=4 * fresh.std().item() * (2 / 1500) ** 0.5)
    # the classes' mixture is the prior, at every level, whatever the noise
    mixed = told[..., :3].logsumexp(2) - math.log(3)
    one = log_densities(model, x[:50], (0.1, 1.0), rng, draws=1)
    torch.testing.assert_close(one[..., :3].logsumexp(2) - math.log(3), one[..., 3], atol=1e-4, rtol=0)
    assert (mixed <= told[..., 3] + 1e-4).all()  # of averaged logarithms it is less, as Jensen says


def test_foreign_images_are_what_they_are_called(rng):
    images = torch.rand(30, 1, 8, 8, generator=rng)
    sets = foreign_sets(images, 12, rng, "somewhere")
    assert all(len(v) == 12 and v.shape[1:] == (1, 8, 8) and 0 <= v.min() and v.max() <= 1 for k, v in sets.items()
               if k != "fashion")  # fmt: skip
    back = torch.cat([sets["rotated"][:6].rot90(3, (2, 3)), sets["rotated"][6:].rot90(1, (2, 3))])
    for made in (back, 1 - sets["inverted"]):
        assert (made[:, None] - images).flatten(2).abs().amax(2).min(1).values.max() < 1e-6
    assert (sets["constant"] == sets["constant"][:, :, :1, :1]).all()
    assert (sets["gaussian"].mean(0) - images.mean(0)).abs().max() < 0.5
    scores = plain_scores(images)
    assert scores["pixel sum"](images[:2] * 0 + 0.5).tolist() == [-32, -32]
    assert scores["mean image"](images.mean(0, keepdim=True)).item() == pytest.approx(0, abs=1e-6)


def test_a_small_trained_density_is_scored_reported_and_drawn():
    task = (
        find("density")
        .task.but(model={"family": {"form": {"body": {"width": 8, "blocks": 1}}}, "space": {"codec": {"width": 4}}})
        .build()
    )
    model = task.build()
    task.ready()
    task._settle(model)
    measure(model.family, n=4, islands=2, between=1)
    told = json.loads(json.dumps(task.score("tiny", model, 20, 0)))
    assert told["source"] == "digits" and told["bits_per_dim_of"].startswith("a code at noise 0.03")
    assert told["reader_accuracy"] is None and "codes alone" in told["auroc_rows"][0]
    assert list(told["level_bias"]) == list(told["ess"]) and len(told["ess"]) == 13 and told["level_bias"]["0.03"] != 0
    assert as_text(tables(told)[-1]).splitlines()[-1].split()[0] == "0.030"
    made = task.report("tiny", model, told, 0, None)
    assert [section.heading for section in made] == ["Targets", "Draws", "Levels", "Scores"]
    assert "<img" in made[1].html
