"""Solids on a floor while the camera goes round them and the light wanders: clips of `Scenes`.

Camera and light move on spheres, so that a step of an angle looks alike wherever it starts; intensity changes by equal
ratios.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Generator, Tensor

from ergosum.data.record import Clips, ObjectClips
from ergosum.data.scenes import FIELD, Scenes, camera_axes
from ergosum.data.speeds import MODES, Mode, draw_speeds, draw_starts, refuse_unlike

__all__ = ["FACTORS", "UNITS", "MovingScenes"]

FACTORS = ("camera azimuth", "camera elevation", "light azimuth", "light elevation", "light intensity")
UNITS = torch.tensor([5.0, 3.0, 15.0, 5.0, 0.1])
"""A usual step: degrees, and for the intensity the natural logarithm of a ratio."""
_LOW = torch.tensor([-40.0, 20.0, -180.0, 35.0, math.log(0.5)])
_HIGH = torch.tensor([40.0, 45.0, 180.0, 75.0, math.log(1.4)])
_CIRCULAR = torch.tensor([False, False, True, False, False])
_REST = torch.tensor([0.0, 30.0, -40.0, 54.0, 0.0])
"""Where factors that never change stand: about the middle of the variant `clevr`."""
_TARGET = torch.tensor([0.0, 0.4, 0.4])
"""What the camera looks at and goes round."""
_CAMERA, _LIGHT = 10.7, 8.6
"""How far camera and light are away, in units of about the size of a large object."""
_INSIDE = 0.97
"""How far from the middle towards the edge of a frame an object's centre may be."""


class MovingScenes:
    """Clips of scenes under a camera and a light, each factor of which changes at a constant speed.

    Factors: azimuth of the camera around the middle of the floor (-40 .. 40 degrees, 0 in front) and its elevation
    (20 .. 45 degrees); azimuth of the light (any) and its elevation (35 .. 75 degrees), both seen from the middle;
    intensity of the light (0.5 .. 1.4, 1 is usual). Azimuths grow counter-clockwise, seen from above. Speeds are
    counted in usual steps (`UNITS`) per frame: half of the moves are a whole one, the others anything shorter, forwards
    or backwards. Objects rest, and the middle of each stays in the frame; they may hide each other.

    Args:
        canvas: side of a frame in pixels, 16 .. 512, a multiple of 4.
        factors: factors that may change, any of `FACTORS`. nuisance: factors that differ from clip to clip without
        changing within one; all others stand still at the same place in every clip.
        objects: solids in a scene, 1 .. 8, or (fewest, most); None takes 2 to 4, and 3 for `still`.
        variant: which solids: `clevr`, `toy`, or `still`, the same three at the same place in every clip.
        mode: one factor moves (`single`), or each with probability one half, at least one (`sparse`).
        smooth: rays per pixel and direction, 1 or 2; small moves want 2.
        split: `train`, or `test` for other clips from the same generator.
        device: where frames are rendered.
    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(
        self,
        canvas: int = 64,
        factors: Sequence[str] = FACTORS[:4],
        nuisance: Sequence[str] = (),
        objects: int | tuple[int, int] | None = None,
        variant: Literal["clevr", "toy", "still"] = "clevr",
        mode: Mode = "single",
        smooth: int = 2,
        split: Literal["train", "test"] = "train",
        device: str = "cpu",
    ) -> None:
        _require(canvas % 4 == 0, "canvas", "a multiple of 4, 16 .. 512", canvas)
        _require(len(factors) > 0 and set(factors) <= set(FACTORS), "factors", f"some of {', '.join(FACTORS)}", factors)
        _require(set(nuisance) <= set(FACTORS), "nuisance", f"some of {', '.join(FACTORS)}", nuisance)
        _require(variant in ("clevr", "toy", "still"), "variant", "'clevr', 'toy' or 'still'", variant)
        _require(mode in MODES, "mode", f"one of {', '.join(MODES)}", mode)
        _require(split in ("train", "test"), "split", "'train' or 'test'", split)
        usual = 3 if variant == "still" else (2, 4)
        self._scenes = Scenes(usual if objects is None else objects, canvas, variant, smooth)
        self.canvas, self.variant, self.split = canvas, variant, split
        self.mode: Mode = mode
        self.objects = self._scenes.objects
        self.attributes: tuple[str, ...] = self._scenes.attributes
        self.active = torch.tensor([name in factors for name in FACTORS])
        self._free = self.active | torch.tensor([name in nuisance for name in FACTORS])
        self.factors: tuple[str, ...] = tuple(name for name in FACTORS if name in factors)
        """Names of the columns of the speeds: factors that may change."""
        self.device = torch.device(device)
        self.settings: dict[str, Any] = {
            **self._scenes.settings, "factors": list(self.factors),
            "nuisance": [name for name in FACTORS if name in nuisance], "mode": mode, "split": split,
        }  # fmt: skip

    @property
    def side(self) -> int:
        """Side of a frame in pixels, the `canvas`."""
        return self.canvas

    def clips(self, n: int, steps: int, generator: Generator) -> Clips:
        """`n` random clips of `steps` moves (`steps` + 1 frames); of many steps, moves are shortened to fit.

        Shape:
            frames: (n, steps + 1, 3, canvas, canvas). speeds: (n, steps, len(factors)).
        Raises:
            ValueError: if `n` or `steps` < 1.
        """
        return Clips(*self.object_clips(n, steps, generator)[:2])

    def object_clips(self, n: int, steps: int, generator: Generator) -> ObjectClips:
        """The clips that `clips` draws from the same generator, with masks and attributes of the objects (`Scenes`).

        Shape:
            masks: (n, steps + 1, 1 + objects, canvas, canvas). attributes: (n, steps + 1, objects, 7).
        Raises:
            ValueError: if `n` or `steps` < 1.
        """
        attributes, scene, speeds = self._sample(n, steps, generator)
        drawn = self._scenes.render(attributes, scene)
        shape = (n, steps + 1)
        return ObjectClips(
            drawn.images.unflatten(0, shape), speeds, drawn.masks.unflatten(0, shape),
            drawn.attributes.unflatten(0, shape),
        )  # fmt: skip

    def shadows(self, n: int, steps: int, generator: Generator) -> Tensor:
        """Whose shadow falls on the floor, frame by frame, in the clips that `clips` draws from the same generator.

        Shape:
            Returns (n, steps + 1, objects, canvas, canvas), bool, see `Scenes.shadows`.
        Raises:
            ValueError: if `n` or `steps` < 1.
        """
        attributes, scene, _ = self._sample(n, steps, generator)
        return self._scenes.shadows(attributes, scene).unflatten(0, (n, steps + 1))

    def _sample(self, n: int, steps: int, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Attributes (n * (steps + 1), objects, 7) and factors (n * (steps + 1), 7) of all frames, and the speeds."""
        refuse_unlike(n, steps)
        if self.split == "test":
            torch.rand(1, generator=generator)
        travel = draw_speeds(n, self.active, self.mode, generator) * UNITS * steps
        start, travel = draw_starts(travel, _LOW, _HIGH, _CIRCULAR, generator)
        start = torch.where(self._free, start, _REST)
        path = start[:, None] + travel[:, None] * torch.arange(steps + 1)[:, None] / steps
        scene = placed(path.flatten(0, 1)).unflatten(0, (n, steps + 1))
        attributes = self._objects(scene[..., 4:], generator)[:, None].expand(-1, steps + 1, -1, -1)
        speeds = (travel / (UNITS * steps))[:, None, self.active].expand(-1, steps, -1).contiguous()
        return attributes.flatten(0, 1).to(self.device), scene.flatten(0, 1).to(self.device), speeds.to(self.device)

    def _objects(self, cameras: Tensor, generator: Generator) -> Tensor:
        """Attributes (n, objects, 7) of objects that cameras (n, time, 3) never lose, drawn until they are so."""
        attributes = torch.zeros(len(cameras), self.objects, len(self.attributes))
        waiting = torch.arange(len(cameras))
        while len(waiting):
            drawn, _ = self._scenes.sample(len(waiting), generator)
            lost = torch.zeros(len(waiting), dtype=torch.bool)
            if self.variant != "still":
                lost = _lost(drawn[..., 4:6], cameras[waiting])
            attributes[waiting[~lost]] = drawn[~lost]
            waiting = waiting[lost]
        return attributes


def placed(factors: Tensor) -> Tensor:
    """The seven factors of `Scenes` for azimuths and elevations [degrees] and the logarithm of the intensity.

    Shape:
        factors: (n, 5), in the order of `FACTORS`. Returns (n, 7).
    """
    camera = _TARGET + _CAMERA * _direction(factors[:, 0], factors[:, 1])
    light = _LIGHT * _direction(factors[:, 2], factors[:, 3])
    return torch.cat([factors[:, 4:].exp(), light, camera], 1)


def _direction(azimuth: Tensor, elevation: Tensor) -> Tensor:
    """Unit vectors (n, 3) from angles in degrees; azimuth 0 is in front, towards -y."""
    a, e = azimuth.deg2rad(), elevation.deg2rad()
    return torch.stack([e.cos() * a.sin(), -e.cos() * a.cos(), e.sin()], 1)


def _lost(place: Tensor, cameras: Tensor) -> Tensor:
    """Whether any object at (n, objects, 2) on the floor leaves the frame of cameras (n, time, 3): (n,), bool."""
    n, time = cameras.shape[:2]
    right, up, ahead = (axis.view(n, time, 1, 3) for axis in camera_axes(cameras.flatten(0, 1)))
    point = torch.nn.functional.pad(place, (0, 1), value=0.5)[:, None] - cameras[:, :, None]
    depth = (point * ahead).sum(3)
    across, above = ((point * axis).sum(3) / depth for axis in (right, up))
    return (torch.maximum(across.abs(), above.abs()) > _INSIDE * FIELD).any(2).any(1)


def _require(condition: bool, name: str, expected: str, got: object) -> None:
    if not condition:
        raise ValueError(f"{name}: expected {expected}, got {got!r}.")
