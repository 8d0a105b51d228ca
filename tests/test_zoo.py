"""The cards that ship with the package."""

import json

import pytest
import torch

from ergosum import zoo
from ergosum.cli import main
from ergosum.data.sequences import SequenceData
from ergosum.metrics.identity import accuracy
from ergosum.runfolder import load_predictor
from ergosum.settings import FACTORS, DataSettings

CARDS = zoo.names() if zoo.CARDS.is_dir() else []


@pytest.mark.parametrize("name", CARDS)
def test_every_card_loads_and_predicts(name):
    experiment, predictor = load_predictor(zoo.find(name))
    assert predictor.components == experiment.model.components
    side = experiment.data.canvas
    frames = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    predicted = predictor.predict(frames, moves=torch.ones(2, 3))
    assert predicted.shape == frames.shape and 0 <= predicted.min() and predicted.max() <= 1


@pytest.mark.parametrize("name", [c for c in CARDS if c.removeprefix("digits-") in FACTORS])
def test_a_card_predicts_its_own_factor_far_better_than_copying(name, rng):
    factor = name.removeprefix("digits-")
    settings = DataSettings(source="digits", factors=(factor,), nuisance=FACTORS, continuous=False)
    pairs = SequenceData(settings, "test").pairs(64, rng)
    error = (zoo.companions(())[name].predict(pairs.start, moves=pairs.moves) - pairs.target).square().mean()
    assert error < 0.2 * (pairs.start - pairs.target).square().mean()


def test_companions_are_the_factors_that_are_not_held():
    held = zoo.companions(("colour",))
    assert set(held) == {f"digits-{f}" for f in FACTORS if f != "colour" and f"digits-{f}" in CARDS}


@pytest.mark.skipif(not {f"digits-{f}" for f in FACTORS} <= set(CARDS), reason="needs the three shipped cards")
def test_control_uses_the_shipped_cards_where_no_run_is_named(tmp_path):
    out = tmp_path / "strip.png"
    assert main(["control", "--timeline", "scale:1 colour+angle:-1", "--out", str(out)]) == 0
    assert out.stat().st_size > 500


def test_a_card_that_is_not_there_is_answered_with_those_that_are(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no card or run folder 'nothing'; the cards are"):
        zoo.find("nothing")
    with pytest.raises(FileNotFoundError, match=r"has no recipe\.json"):
        zoo.find(str(tmp_path))


def test_the_judge_recognises_true_frames_of_any_colour_angle_and_scale(rng):
    pairs = SequenceData(DataSettings(source="digits"), "test").pairs(200, rng)
    # six and nine are one digit to a judge of all angles, so nine tenths is what can be asked
    assert accuracy(zoo.judge(), pairs.start, pairs.labels) > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("name", [c for c in CARDS if c.removeprefix("digits-") in FACTORS])
def test_a_card_meets_its_targets_of_skill(name, capsys):
    assert main(["score", name, "--json", "--n", "40", "--source", "digits"]) == 0
    targets = json.loads(capsys.readouterr().out)["targets"]
    assert all(t["met"] for t in targets if t["name"].endswith(" skill"))
