"""Datasets: single images with true factors and masks, sequences of frames, and clips; masks that hide their pixels."""

from ergosum.data.attributed_images import AttributedImages
from ergosum.data.avatars import Avatars
from ergosum.data.celeba import CelebA
from ergosum.data.clip_folder import ClipFolder
from ergosum.data.coloured_digits import ColouredDigits
from ergosum.data.concept_scenes import ConceptScenes
from ergosum.data.files.cars3d import Cars3D
from ergosum.data.files.clevr import Clevr
from ergosum.data.files.dsprites import DSprites
from ergosum.data.files.hugging_face import HuggingFaceImages
from ergosum.data.files.mnist_files import MnistFiles
from ergosum.data.files.moving_mnist import MovingMnist
from ergosum.data.files.mpi3d import Mpi3D
from ergosum.data.files.multi_object import MultiObject
from ergosum.data.files.shapes3d import Shapes3D
from ergosum.data.files.shards import ImageShards
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
    "AttributedImages", "Avatars", "BlockMask", "BoxMask", "Cars3D", "CelebA", "Clevr", "ClipFolder", "ColouredDigits",
    "ConceptScenes", "DSprites", "DigitSequences", "FrameMask", "FramesOfDigits", "Glyphs", "HuggingFaceImages",
    "ImageFolder", "ImageMask", "ImageShards", "Incomplete", "LabelledImages", "Mixed", "MnistFiles", "MovingMnist",
    "MovingScenes", "MovingShapes", "Mpi3D", "MultiObject", "PartlyTold", "SaltAndPepper", "Scenes", "Shapes",
    "Shapes3D", "StackedClips", "StackedMask", "Tetrominoes", "WornFrames",
]  # fmt: skip
