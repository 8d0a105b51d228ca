"""The classifiers that ship: what they learn from, and that the same seed makes the same one."""

import pytest
import torch

from ergosum import zoo
from ergosum.data.dataset import store
from ergosum.data.named import dataset
from ergosum.data.sources import load_digits
from ergosum.metrics.identity import accuracy
from ergosum.metrics.kid import kid
from ergosum.zoo import classifiers
from ergosum.zoo.classifiers import train_classifier, train_extractor, train_reader

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


def test_a_reader_of_upright_digits_learns_and_the_same_seed_makes_the_same_one():
    one, again = (train_reader(iterations=3, batch=16, sources=("digits",)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), again.state_dict().values(), strict=True))
    images = load_digits("digits", "train").images[:128]
    with torch.no_grad():
        torch.testing.assert_close(one.seen(images).mean(0), one.centre)
        assert one(images).shape == (128, 10) and one.features(images).abs().max() <= 3


def test_digits_are_moved_a_little_for_it_and_none_leaves_the_image(rng):
    images = load_digits("digits", "train").images[:40]
    moved = classifiers._moved(images, rng)
    assert (moved.flatten(1).sum(1) / images.flatten(1).sum(1) - 1).abs().max() < 0.35  # scaled by up to a tenth
    row = torch.arange(28.0)
    centre = lambda x: (x.sum(2)[:, 0] @ row / x.flatten(1).sum(1), x.sum(3)[:, 0] @ row / x.flatten(1).sum(1))  # noqa: E731
    for a, b in zip(centre(moved), centre(images), strict=True):
        assert 0.5 < (a - b).abs().max() < 3.5


def test_the_shipped_reader_is_right_of_bundled_digits():
    test = load_digits("digits", "test")
    assert accuracy(zoo.Zoo().classifier("upright"), test.images, test.labels) >= 0.98


def test_the_shipped_reader_is_right_of_mnist(mnist):
    """On all 10,000 it is .9927; of 2,000 that has a standard error of .002."""
    test = load_digits("mnist", "test")
    assert accuracy(zoo.Zoo().classifier("upright"), test.images[::5], test.labels[::5]) >= 0.985


def test_its_features_tell_noisy_digits_from_true_ones(rng):
    reader, images = zoo.Zoo().classifier("upright"), load_digits("digits", "test").images
    noisy = (images[:200] + 0.3 * torch.randn(200, 1, 28, 28, generator=rng)).clamp(0, 1)
    with torch.no_grad():
        one, two, spoilt = map(reader.features, (images[:200], images[200:], noisy))
    same, other = kid(one, two, rng), kid(spoilt, two, rng)
    assert abs(same.mean) < 4 * same.error and other.mean > 5 * other.error
