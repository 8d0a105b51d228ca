"""Datasets: single images with true factors and masks, sequences of frames, and clips; masks that hide their pixels."""

from ergosum.data.avatars import Avatars
from ergosum.data.celeba import CelebA
from ergosum.data.clip_folder import ClipFolder
from ergosum.data.coloured_digits import ColouredDigits
from ergosum.data.concept_scenes import ConceptScenes
from ergosum.data.folder import ImageFolder
from ergosum.data.frames import FramesOfDigits, WornFrames
from ergosum.data.glyphs import Glyphs
from ergosum.data.incomplete import Incomplete
from ergosum.data.labelled import LabelledImages
from ergosum.data.masks import BlockMask, BoxMask, FrameMask, ImageMask, SaltAndPepper, StackedMask
from ergosum.data.mixed import Mixed
from ergosum.data.moving_scenes import MovingScenes
from ergosum.data.moving_shapes import MovingShapes
from ergosum.data.partly_told import PartlyTold
from ergosum.data.scenes import Scenes
from ergosum.data.sequences import DigitSequences
from ergosum.data.shapes import Shapes
from ergosum.data.stacked import StackedClips
from ergosum.data.tetrominoes import Tetrominoes

__all__ = [
    "Avatars", "BlockMask", "BoxMask", "CelebA", "ClipFolder", "ColouredDigits", "ConceptScenes", "DigitSequences",
    "FrameMask", "FramesOfDigits", "Glyphs", "ImageFolder", "ImageMask", "Incomplete", "LabelledImages", "Mixed",
    "MovingScenes", "MovingShapes", "PartlyTold", "SaltAndPepper", "Scenes", "Shapes", "StackedClips", "StackedMask",
    "Tetrominoes", "WornFrames",
]  # fmt: skip
