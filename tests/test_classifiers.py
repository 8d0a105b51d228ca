"""The classifiers that ship: what they learn from, and that the same seed makes the same one."""

import pytest
import torch

from ergosum import zoo
from ergosum.data.dataset import store
from ergosum.data.named import dataset
from ergosum.zoo import classifiers
from ergosum.zoo.classifiers import train_classifier, train_extractor

FEW = {"tetrominoes": (36, 4), "digits": (36, 1)}


def test_a_classifier_of_digits_learns():
    model = train_classifier(iterations=2, batch=8, source="digits")
    assert model(torch.rand(3, 3, 28, 28)).shape == (3, 10) and not model.training


def test_extracted_features_are_standard_on_what_was_seen_and_repeatable(monkeypatch):
    monkeypatch.setattr(classifiers, "SETS", FEW)
    monkeypatch.setattr(classifiers, "EXTRACTOR_OUTPUTS", len(FEW) + classifiers.MOST + len(classifiers.DAMAGES))
    one, again = (train_extractor(iterations=3, batch=12, count=40) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True))
    with torch.no_grad():
        features = one.features(torch.rand(4, 3, 36, 36, generator=torch.Generator().manual_seed(0)))
        seen = [store(dataset(name, side, (1, most)).build(), 40, seed=1) for name, (side, most) in FEW.items()]
        pooled = torch.cat([one.pooled(images.images(torch.arange(40))) for images in seen])
    assert features.abs().max() <= 3
    torch.testing.assert_close(one.centre, pooled.mean(0))
    torch.testing.assert_close(one.spread, pooled.std(0).clamp(min=0.1))


@pytest.mark.parametrize("damage", range(len(classifiers.DAMAGES)))
def test_the_shipped_feature_extractor_notices_what_was_done_to_scenes(damage):
    draw = torch.Generator().manual_seed(7)
    images = dataset("scenes", 64, (2, 5)).build().draw(60, draw).images
    done = classifiers._damaged(images, torch.full((60,), damage), draw)
    with torch.no_grad():
        logits = zoo.Zoo().classifier("features")(done)
    told = logits[:, -len(classifiers.DAMAGES) :].argmax(1)
    assert (told == damage).float().mean() > 0.8
    assert (logits[:, : len(classifiers.SETS)].argmax(1) == list(classifiers.SETS).index("scenes")).float().mean() > 0.8
