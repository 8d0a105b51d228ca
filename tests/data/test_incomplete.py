"""A dataset behind masks that never change."""

import pytest
import torch

from ergosum.data import BoxMask, Incomplete, LabelledImages, MovingShapes, SaltAndPepper, StackedClips
from ergosum.data.masks import FrameMask, StackedMask
from ergosum.data.record import Labelled, PartlyKnown
from ergosum.part import Part


class Films:
    """Three grey frames as channels, in which a square moves; not a list."""

    names, side, channels = (), 12, 3

    def labelled(self, n, generator):
        images = torch.zeros(n, 3, 12, 12)
        place = torch.randint(8, (n,), generator=generator)
        for image, x in zip(images, place, strict=True):
            for t in range(3):
                image[t, 4:8, x + t : x + t + 3] = 1
        return Labelled(images, torch.zeros(n, dtype=torch.int64))


@pytest.fixture(scope="module")
def half():
    return Incomplete(Part(LabelledImages, source="digits", side=12), SaltAndPepper(0.5), count=40)


def test_every_example_keeps_its_mask(half, rng):
    drawn = half.labelled(60, rng)
    assert isinstance(drawn, PartlyKnown)
    assert (drawn.known == half.known[drawn.rows]).all() and (drawn.labels == half.labels[drawn.rows]).all()
    assert not (half.known[0] == half.known[1]).all()
    truth = half.truth[drawn.rows]
    assert (drawn.images[drawn.known] == truth[drawn.known]).all()


def test_nothing_that_is_handed_out_depends_on_what_is_hidden():
    class Changed(LabelledImages):
        def __init__(self, split="train"):
            super().__init__("digits", 12)
            self.images = self.images.clone()
            self.images[:, :, 3:6, 3:6] = 0.5

    one = Incomplete(LabelledImages("digits", 12), BoxMask(3, 3, 3, 3), count=10)
    other = Incomplete(Changed(), BoxMask(3, 3, 3, 3), count=10)
    assert not torch.equal(one.truth, other.truth)
    assert torch.equal(one.start, other.start)


def test_examples_are_different_and_the_seed_chooses_them(half):
    images = half.truth.flatten(1)
    assert len(images.unique(dim=0)) == len(half) == 40
    again, other = (Incomplete(LabelledImages("digits", 12), count=40, seed=s) for s in (0, 1))
    assert torch.equal(again.truth, half.truth) and torch.equal(again.known, half.known)
    assert not torch.equal(other.truth, half.truth)


def test_a_hidden_frame_is_filled_from_its_neighbours():
    films = Incomplete(Films(), StackedMask(FrameMask((1,))), count=5)
    assert not films.known[:, 1].any() and films.known[:, (0, 2)].all()
    assert films.start[:, 1, 4:8].mean() > 0.15


@pytest.mark.parametrize("arguments", [{"count": 1}, {"data": Films(), "count": 0}])
def test_fewer_than_two_examples_are_refused(arguments):
    with pytest.raises(ValueError, match="two or more examples"):
        Incomplete(**{"data": LabelledImages("digits", 12), **arguments})


def test_data_may_bring_their_masks_along():
    data = LabelledImages("digits", 12)
    data.known = data.images > 0.5
    data.known[:, :, 0] = True
    own = Incomplete(data, None, count=20)
    expected = own.truth > 0.5
    expected[:, :, 0] = True
    assert (own.known == expected).all()
    with pytest.raises(ValueError, match="brings none along"):
        Incomplete(LabelledImages("digits", 12), None)


def test_clips_become_images_of_many_channels(rng):
    data = StackedClips(Part(MovingShapes, canvas=12), frames=4, grey=True)
    made = data.labelled(3, rng)
    assert made.images.shape == (3, 4, 12, 12) and (data.channels, data.side, data.names) == (4, 12, ())
    clips = MovingShapes(canvas=12).clips(3, 3, torch.Generator().manual_seed(0)).frames
    assert torch.equal(StackedClips(Part(MovingShapes, canvas=12), 4, False).labelled(3, rng_at(0)).images,
                       clips.flatten(1, 2))  # fmt: skip
    with pytest.raises(ValueError, match="two frames or more"):
        StackedClips(frames=1)
    with pytest.raises(ValueError, match="frames of 3 channels"):
        StackedMask(FrameMask((1,)), 3).known((2, 4, 12, 12))


def rng_at(seed):
    return torch.Generator().manual_seed(seed)
