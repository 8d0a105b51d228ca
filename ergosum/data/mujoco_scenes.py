"""The scenes of `ergosum.data.scenes` drawn by MuJoCo's renderer, where it is installed: `pip install ergosum[scenes]`.

Another renderer of the same scenes: a network that has learned from the ray caster can be tried on images with the
same true attributes and factors and other light, edges and shadows. Drawing needs OpenGL: a display, EGL or OSMesa.
Without a GPU it takes more than ten times as long as the ray caster.
"""

import importlib
import math
import os
import sys
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from ergosum.data.dataset import one_hot
from ergosum.data.record import ImageRecord
from ergosum.data.scenes import COLOURS, FIELD, SIZES, Scenes, camera_axes

__all__ = ["MujocoScenes"]

_KINDS = ("sphere", "box", "cylinder")
_NO_OPENGL = (
    "MuJoCo found no OpenGL to draw with ({}). Set MUJOCO_GL to egl or osmesa and install that library (libegl1 with "
    "libgl1-mesa-dri, or libosmesa6), or use ergosum.data.scenes, which needs none."
)


class MujocoScenes:
    """Spheres, cubes and cylinders drawn by MuJoCo; otherwise the same set as the `Scenes` it is made of.

    Args:
        scenes: what to draw; any variant but `toy`. Its `smooth` has no effect: MuJoCo smooths edges itself.
    Raises:
        ValueError: if the variant is `toy`. ImportError: if MuJoCo is not installed. RuntimeError: if there is no
        OpenGL to draw with.
    """

    def __init__(self, scenes: Scenes) -> None:
        if scenes.variant == "toy":
            raise ValueError("MujocoScenes: expected a variant of spheres, cubes and cylinders, got 'toy'.")
        self.scenes = scenes
        self.side, self.objects = scenes.side, scenes.objects
        self.factors, self.attributes, self.levels = scenes.factors, scenes.attributes, scenes.levels
        self._mujoco = _load()
        self._model = self._mujoco.MjModel.from_xml_string(_xml(self.side, self.objects))
        self._model.geom_sameframe[:] = 0  # else MuJoCo keeps every solid where the model was compiled with it
        self._data = self._mujoco.MjData(self._model)
        try:
            self._renderer = self._mujoco.Renderer(self._model, self.side, self.side)
        except Exception as error:  # whatever the OpenGL library at hand raises
            raise RuntimeError(_NO_OPENGL.format(error)) from error
        self._renderer.scene.flags[self._mujoco.mjtRndFlag.mjRND_FOG] = 1
        self.settings: dict[str, Any] = {**scenes.settings, "mujoco": self._mujoco.__version__}

    def draw(self, n: int, generator: Generator) -> ImageRecord:
        """`n` random images: the same scenes that `Scenes` draws from the same generator."""
        return self.render(*self.scenes.sample(n, generator))

    def from_factors(self, factors: Tensor) -> ImageRecord:
        """Images of always the same objects under given light and camera, as `Scenes.from_factors`.

        Shape:
            factors: (n, 7).
        """
        return self.render(self.scenes.still(len(factors), factors.device), factors)

    def render(self, attributes: Tensor, factors: Tensor, shadows: bool = True) -> ImageRecord:
        """The images of given scenes, one after another.

        Args:
            shadows: whether solids take the light from what is behind them.

        Shape:
            attributes: (n, objects, 7), NaN where an object is absent. factors: (n, 7).
        Raises:
            ValueError: as `Scenes.render`.
        """
        self.scenes.check(attributes, factors)
        self._renderer.scene.flags[self._mujoco.mjtRndFlag.mjRND_SHADOW] = int(shadows)
        images = np.empty((len(factors), self.side, self.side, 3), np.uint8)
        owners = np.empty((len(factors), self.side, self.side), np.int64)
        for i, (things, light) in enumerate(zip(attributes.cpu().numpy(), factors.cpu().numpy(), strict=True)):
            self._arrange(things, light)
            self._look(factors[i : i + 1, 4:].cpu())
            self._renderer.update_scene(self._data, camera="eye")
            images[i] = self._renderer.render()
            self._renderer.enable_segmentation_rendering()
            self._renderer.update_scene(self._data, camera="eye")
            geoms = self._renderer.render()[..., 0]
            self._renderer.disable_segmentation_rendering()
            owners[i] = np.where(geoms > 0, (geoms - 1) // len(_KINDS) + 1, 0)  # geom 0 is the floor, -1 the sky
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().to(factors.device).float() / 255
        masks = one_hot(torch.from_numpy(owners).to(factors.device), self.objects)
        return ImageRecord(pixels, factors, masks, attributes)

    def shadows(self, attributes: Tensor, factors: Tensor) -> Tensor:
        """Whose shadow falls on each pixel of the floor, by the ray caster: solids, lamp and camera are the same.

        Shape:
            as `Scenes.shadows`.
        """
        return self.scenes.shadows(attributes, factors)

    def _arrange(self, things: np.ndarray, light: np.ndarray) -> None:
        """Move what is there into place, and the rest far away."""
        model = self._model
        model.geom_pos[1:] = (0, 0, -100)
        for slot, thing in enumerate(things):
            if np.isnan(thing).any():
                continue
            kind, colour, size, metal = (int(v) for v in thing[:4])
            geom = 1 + slot * len(_KINDS) + kind
            radius = float(SIZES[size])
            extent = ((radius,) * 3, (0.8 * radius,) * 3, (0.85 * radius, 0.85 * radius, 0))[kind]
            model.geom_size[geom] = extent
            model.geom_rbound[geom] = 2 * radius
            height = (1.0, 0.8, 0.85)[kind] * radius
            model.geom_pos[geom] = (*thing[4:6], height)
            model.geom_quat[geom] = (math.cos(thing[6] / 2), 0, 0, math.sin(thing[6] / 2))
            model.geom_rgba[geom] = (*COLOURS[colour].tolist(), 1)
            model.geom_matid[geom] = metal
        model.light_pos[0] = light[1:4]
        aim = -light[1:4] / np.linalg.norm(light[1:4])
        model.light_dir[0] = aim
        model.light_diffuse[0] = 0.7 * light[0]

    def _look(self, camera: Tensor) -> None:
        right, up, ahead = (axis[0].double().numpy() for axis in camera_axes(camera))
        self._model.cam_pos[0] = camera[0].numpy()
        self._mujoco.mju_mat2Quat(self._model.cam_quat[0], np.stack([right, up, -ahead], 1).ravel())
        self._mujoco.mj_forward(self._model, self._data)


def _load() -> Any:
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        os.environ.setdefault("MUJOCO_GL", "egl")  # read when MuJoCo is imported
    try:
        return importlib.import_module("mujoco")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"MuJoCo is not installed ({error}): pip install 'ergosum[scenes]', or use ergosum.data.scenes without it."
        ) from error
    except Exception as error:  # MuJoCo loads OpenGL when it is imported
        raise RuntimeError(_NO_OPENGL.format(error)) from error


def _xml(side: int, objects: int) -> str:
    """A model with every solid for every object, to be moved into place."""
    geoms = "".join(f"<geom type='{kind}' size='1 1 1' material='matte'/>" for _ in range(objects) for kind in _KINDS)
    return f"""
    <mujoco>
      <statistic extent='1' center='0 0 0'/>
      <visual>
        <global offwidth='{side}' offheight='{side}'/>
        <quality shadowsize='2048' offsamples='4'/>
        <headlight ambient='0.35 0.35 0.35' diffuse='0 0 0' specular='0 0 0'/>
        <map znear='0.1' zfar='60' shadowscale='1' fogstart='12.5' fogend='18'/>
        <rgba fog='0.8 0.82 0.85 1'/>
      </visual>
      <asset>
        <texture type='skybox' builtin='flat' rgb1='0.8 0.82 0.85' width='16' height='96'/>
        <material name='matte' specular='0.1' shininess='0.1' rgba='1 1 1 1'/>
        <material name='metal' specular='1' shininess='0.9' rgba='1 1 1 1'/>
        <material name='floor' specular='0' shininess='0' rgba='0.66 0.66 0.66 1'/>
      </asset>
      <worldbody>
        <light directional='false' castshadow='true' cutoff='75' exponent='0' ambient='0 0 0' specular='0.4 0.4 0.4'
               attenuation='1 0 0'/>
        <camera name='eye' fovy='{2 * math.degrees(math.atan(FIELD))}'/>
        <geom type='plane' size='30 30 1' material='floor'/>
        {geoms}
      </worldbody>
    </mujoco>"""
