"""A solid on a floor as four values: shape, colour, size and place, and its image.

The ray caster of `Scenes` draws matte solids seen from above. The place is where the middle of a solid is in the image,
x to the right and y down, 0 .. 1, so that it needs no word of the camera.
"""

from typing import Literal

import torch
from torch import Tensor

from ergosum.data.attributed import Attribute
from ergosum.data.mujoco_scenes import MujocoScenes
from ergosum.data.record import ImageRecord
from ergosum.data.scenes import FIELD, SIZES, Scenes, camera_axes
from ergosum.data.solids import SOLIDS

__all__ = ["ATTRIBUTES", "COLOUR_NAMES", "MIDDLE", "SHAPES", "SIZE_NAMES", "SIZE_NUMBERS", "Variant", "points",
           "rendered", "renderer"]  # fmt: skip

SHAPES = ("sphere", "cube", "cylinder")
COLOUR_NAMES = ("grey", "red", "blue", "green", "brown", "purple", "cyan", "yellow")
SIZE_NAMES = ("small", "medium", "large")
SIZE_NUMBERS = torch.tensor([0, 2, 1])
"""Numbers by which `Scenes` knows the three sizes."""
ATTRIBUTES = (
    Attribute("shape", SHAPES), Attribute("colour", COLOUR_NAMES), Attribute("size", SIZE_NAMES),
    Attribute("place", numbers=2),
)  # fmt: skip
Variant = Literal["usual", "other", "mujoco"]
MIDDLE: dict[str, tuple[float, ...]] = {
    "usual": (1.0, -3.3, -3.7, 7.0, 0.0, -5.4, 7.3),
    "other": (0.85, 3.6, -2.4, 6.6, 0.0, -5.4, 7.3),
    "mujoco": (1.0, -3.3, -3.7, 7.0, 0.0, -5.4, 7.3),
}
"""Of the factors of `Scenes`: light intensity, light x, y, z, camera x, y, z."""
_OTHER_FLOOR = (1.0, 0.88, 0.70)


def renderer(objects: int, side: int, variant: Variant) -> Scenes | MujocoScenes:
    """What draws a variant.

    Raises:
        ImportError, RuntimeError: if the variant is drawn by MuJoCo and this, or OpenGL, is missing.
    """
    scenes = Scenes(objects, side, smooth=2)
    return MujocoScenes(scenes) if variant == "mujoco" else scenes


def rendered(
    scenes: Scenes | MujocoScenes, values: Tensor, angle: Tensor, factors: Tensor, variant: Variant = "usual"
) -> ImageRecord:
    """Images of solids with given values, under given light and camera.

    Shape:
        values: (n, objects, 5), NaN where a solid is absent. angle: (n, objects), in rad. factors: (n, 7), those of
        `Scenes`. The attributes of the record are `values`.
    """
    present = ~values.isnan().any(2)
    known = values.masked_fill(~present[..., None], 0)
    shape, size = known[..., 0].long(), SIZE_NUMBERS[known[..., 2].long()]
    height = torch.tensor([SOLIDS[s].middle for s in SHAPES])[shape] * SIZES[size]
    floor = points(known[..., 3:], factors[:, 4:], height)[..., :2]
    columns = [known[..., :2], size[..., None].float(), torch.zeros_like(angle)[..., None], floor, angle[..., None]]
    record = scenes.render(torch.cat(columns, 2).masked_fill(~present[..., None], torch.nan), factors)
    images = record.images
    if variant == "other":
        tint = torch.tensor(_OTHER_FLOOR)[:, None, None]
        images = torch.where(record.masks[:, :1], images * tint, images)
    return record._replace(images=images, attributes=values)


def points(place: Tensor, camera: Tensor, height: Tensor) -> Tensor:
    """The points (n, k, 3) at heights (n, k) that cameras (n, 3) see at places (n, k, 2) of the image."""
    right, up, ahead = (axis[:, None] for axis in camera_axes(camera))
    across, above = ((2 * place - 1) * FIELD * place.new_tensor([1, -1])).split(1, 2)
    ray = ahead + right * across + up * above
    return camera[:, None] + ray * ((height - camera[:, None, 2]) / ray[..., 2])[..., None]
