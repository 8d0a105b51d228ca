"""The judges that ship: what they learn from, and that the same seed makes the same one."""

import pytest
import torch

from ergosum import zoo
from ergosum.data.named import picture_set
from ergosum.data.pictures import store
from ergosum.settings import PictureSettings
from ergosum.training import classifier
from ergosum.training.classifier import train_classifier, train_extractor

FEW = {"tetrominoes": (36, 4), "digits": (36, 1)}


def test_a_judge_of_digits_learns():
    model = train_classifier(iterations=2, batch=8, source="digits")
    assert model(torch.rand(3, 3, 28, 28)).shape == (3, 10) and not model.training


def test_an_extractor_s_features_are_standard_on_what_it_saw_and_repeatable(monkeypatch):
    monkeypatch.setattr(classifier, "SETS", FEW)
    monkeypatch.setattr(classifier, "EXTRACTOR_OUTPUTS", len(FEW) + classifier.MOST + len(classifier.DAMAGES))
    one, again = (train_extractor(iterations=3, batch=12, count=40) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True))
    with torch.no_grad():
        features = one.features(torch.rand(4, 3, 36, 36, generator=torch.Generator().manual_seed(0)))
        seen = [store(picture_set(PictureSettings(name=name, side=side, fewest=1, most=most)), 40, seed=1)
                for name, (side, most) in FEW.items()]  # fmt: skip
        pooled = torch.cat([one.pooled(pictures.images(torch.arange(40))) for pictures in seen])
    assert features.abs().max() <= 3
    torch.testing.assert_close(one.centre, pooled.mean(0))
    torch.testing.assert_close(one.spread, pooled.std(0).clamp(min=0.1))


@pytest.mark.parametrize("damage", range(len(classifier.DAMAGES)))
def test_the_shipped_extractor_notices_what_was_done_to_scenes(damage):
    draw = torch.Generator().manual_seed(7)
    pictures = picture_set(PictureSettings(name="scenes", side=64, fewest=2, most=5)).draw(60, draw).images
    done = classifier._damaged(pictures, torch.full((60,), damage), draw)
    with torch.no_grad():
        logits = zoo.extractor()(done)
    told = logits[:, -len(classifier.DAMAGES) :].argmax(1)
    assert (told == damage).float().mean() > 0.8
    assert (logits[:, : len(classifier.SETS)].argmax(1) == list(classifier.SETS).index("scenes")).float().mean() > 0.8
