"""Scores of latents against the factors of a scene."""

import math

import pytest
import torch
from torch import nn

from ergosum.data.scenes import Scenes
from ergosum.data.shapes import Shapes
from ergosum.data.tetrominoes import Tetrominoes
from ergosum.decomposition.factors import baseline_scores, factor_scores, on_grid
from ergosum.decomposition.recipes import recipes
from ergosum.decomposition.task import HELD_OUT

SMALL = {"data": {"side": 16}, "model": {"width": 8, "latent": 6}}
STILL = recipes()["still-vae-b4-d64"]().but(task=SMALL).built()
N = 600


class Coder(nn.Module):
    """Codes that are a function of an image's number in the draw that is judged, whatever the image shows."""

    def __init__(self, codes):
        super().__init__()
        self.codes, self.at = codes, 0

    def encode(self, images):
        rows = torch.arange(self.at, self.at + len(images)) % len(self.codes)
        self.at += len(images)
        return self.codes[rows][:, None]


def drawn(n):
    """The factors of the n images that are judged."""
    return Scenes(side=16, variant="still").draw(n, torch.Generator().manual_seed(HELD_OUT)).factors


@pytest.fixture(scope="module")
def truth():
    return drawn(N)


def scored(codes):
    return factor_scores(STILL, Coder(codes), len(codes), 0)


def test_an_oracle_scores_one_as_do_its_rows_and_noise_chance(truth):
    told = scored(truth)
    levels = [len(c.unique()) for c in truth.T]
    best = {"sap": 1 - sum(1 / n for n in levels) / 7, "mig": 1 - 19 * 5 / (2 * N) / math.log(5)}
    for row in [told, *(r for r in told["factor_rows"] if r["row"] in ("oracle", "permuted"))]:
        assert row["beta_vae"] == row["factor_vae"] == 1 and row["mcc"] == pytest.approx(1)
        assert row["mig"] > best["mig"] and row["sap"] == pytest.approx(best["sap"], abs=0.1)
        assert row["dci"] == pytest.approx({"disentanglement": 1, "completeness": 1, "informativeness": 1})
    noise = next(r for r in told["factor_rows"] if r["row"] == "noise")
    assert noise["beta_vae"] == pytest.approx(1 / 7, abs=0.05) and noise["mcc"] < 4 / N**0.5


def test_a_constant_encoder_scores_chance(truth, monkeypatch):
    """Seven factors; 4 standard errors of N judged batches, and of accuracies on 200 rows."""
    monkeypatch.setattr("ergosum.decomposition.factors.reference_rows", lambda *_: {})  # they were judged above
    told = scored(torch.full((N, 6), 0.3))
    assert told["beta_vae"] == pytest.approx(1 / 7, abs=4 * (6 / 49 / N) ** 0.5)
    assert told["factor_vae"] == told["mig"] == told["mcc"] == told["sap"] == 0
    assert told["dci"]["disentanglement"] == told["dci"]["completeness"] == 0
    assert told["dci"]["informativeness"] == pytest.approx(1 / 6, abs=4 * (5 / 36 / 200) ** 0.5)


def test_rows_are_named_and_of_more_than_64_codes_components_are_judged_too():
    generator = torch.Generator().manual_seed(0)
    wide = torch.cat([drawn(150), 0.01 * torch.randn(150, 60, generator=generator)], 1)
    told = scored(wide)
    assert [r["row"] for r in told["factor_rows"]] == [
        "ours",
        "random encoder",
        "oracle",
        "permuted",
        "rotated",
        "noise",
    ]
    assert told["codes"] == 67 and set(told) >= {"mig", "mig_pca", "beta_vae_pca", "dci_pca"}
    assert told["mcc"] == pytest.approx(1) and told["mcc_pca"] <= 1
    assert not any("mig_pca" in r for r in told["factor_rows"][1:]), "no more than 64 codes"


def test_the_same_seed_gives_the_same_numbers_and_leaves_the_global_state_alone():
    torch.manual_seed(0)
    model = STILL.build()
    state = torch.get_rng_state()
    one, again, other = (factor_scores(STILL, model, 60, s) for s in (0, 0, 1))
    assert one == again and one["mcc"] != other["mcc"] and torch.equal(torch.get_rng_state(), state)


def test_sets_without_a_grid_of_factors_are_refused():
    assert on_grid(Scenes(side=16, variant="still")) and on_grid(Shapes(side=16))
    for other in (Scenes(side=16, variant="lighting"), Shapes((2, 3), True, 16), Tetrominoes(3, 36)):
        assert not on_grid(other)
    with pytest.raises(ValueError, match="'tetrominoes' has no factors on a grid"):
        factor_scores(recipes()["tetrominoes"]().built(), Coder(torch.zeros(4, 2)), N, 0)


def test_images_drawn_again_are_scored_beside_their_mean():
    torch.manual_seed(0)
    told = baseline_scores(STILL, STILL.build(), 8, 0)
    assert set(told) == {"mse", "psnr", "mse_mean", "psnr_mean"} and told["mse_mean"] < told["mse"]
    slots = recipes()["still-slot-attention"]().but(task=SMALL).built()
    told = baseline_scores(slots, slots.build(), 8, 0)
    assert told["rows"] == [{"row": "SlotAttention", **{k: told[k] for k in ("fg_ari", "ari", "covering")}}]
    with pytest.raises(ValueError, match="n >= 2 images"):
        baseline_scores(STILL, STILL.build(), 1, 0)
