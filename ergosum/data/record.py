"""What a dataset hands out: a typed record with the true factors beside the pixels."""

from typing import NamedTuple

from torch import Tensor

__all__ = ["Clips", "Digits", "ImageRecord", "Labelled", "ObjectClips", "Pairs", "PartlyKnown", "Sequences"]


class Digits(NamedTuple):
    """Single-channel digits in [0, 1] with their class.

    Shape:
        images: (n, 1, side, side), float32. labels: (n,), int64 in 0..9.
    """

    images: Tensor
    labels: Tensor


class Pairs(NamedTuple):
    """A frame, the frame to predict, and what happened in between.

    Shape:
        start, target: (batch, 3, side, side) in [0, 1].
        moves: (batch, factors), signed number of levels that each factor advanced from start to target.
        before, after: (batch, 3), hue [rad], angle [degrees], scale [1] of start and target.
        digits: (batch, 1, side, side), the untransformed digit. labels: (batch,).
    """

    start: Tensor
    target: Tensor
    moves: Tensor
    before: Tensor
    after: Tensor
    digits: Tensor
    labels: Tensor


class Sequences(NamedTuple):
    """Whole sequences with their true factors.

    Shape:
        frames: (batch, time, 3, side, side) in [0, 1].
        factors: (batch, time, 3), hue [rad], angle [degrees], scale [1].
        digits: (batch, 1, side, side). labels: (batch,).
    """

    frames: Tensor
    factors: Tensor
    digits: Tensor
    labels: Tensor


class Clips(NamedTuple):
    """Clips of equal length, and where it is known how fast each factor moves in them.

    Shape:
        frames: (batch, time, 3, side, side), float32 in [0, 1], time >= 2.
        speeds: (batch, time - 1, F), signed change of each factor from one frame to the next, in units in which equal
            changes look alike (levels of hue and angle, logarithm of size); F = 0 where nobody knows the factors.
    """

    frames: Tensor
    speeds: Tensor


class ObjectClips(NamedTuple):
    """Clips with the objects in them: whose each pixel is, and what each object is like, frame by frame.

    Shape:
        frames: (batch, time, 3, side, side), float32 in [0, 1]. speeds: (batch, time - 1, F), as `Clips`.
        masks: (batch, time, 1 + objects, side, side), bool, the background first; exactly one is true at every pixel.
        attributes: (batch, time, objects, A), float32, NaN for an object that is absent.
    """

    frames: Tensor
    speeds: Tensor
    masks: Tensor
    attributes: Tensor


class ImageRecord(NamedTuple):
    """Single images with the objects in them, their masks and all true factors.

    What belongs to the whole scene (light, camera, background) is a factor; what belongs to one object is an attribute.
    An object that is absent has no pixel in its mask and NaN for attributes.

    Shape:
        images: (n, 3, side, side), float32 in [0, 1].
        factors: (n, F), float32; F = 0 where the scene has none.
        masks: (n, 1 + objects, side, side), bool, the background first; exactly one is true at every pixel.
        attributes: (n, objects, A), float32.
    """

    images: Tensor
    factors: Tensor
    masks: Tensor
    attributes: Tensor


class Labelled(NamedTuple):
    """Images as they come, grey or in colour, with the number of their class.

    Shape:
        images: (n, channels, side, side), float32 in [0, 1]. labels: (n,), int64 in 0 .. classes - 1.
    """

    images: Tensor
    labels: Tensor


class PartlyKnown(NamedTuple):
    """Images of which a part is hidden, each with a mask of its own that never changes.

    Shape:
        images: (n, channels, side, side), float32 in [0, 1]; at hidden pixels a fill that knows nothing of them.
        labels: (n,), int64. known: (n, channels, side, side), bool, True where a pixel is known. rows: (n,), int64,
            which examples of the dataset these are.
    """

    images: Tensor
    labels: Tensor
    known: Tensor
    rows: Tensor
