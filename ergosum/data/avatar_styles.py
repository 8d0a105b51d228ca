"""Styles of drawn faces: which parts of DiceBear's avatars show which attribute, and their layers as pixels.

The drawings are those of the packages dicebear-styles and dicebear-core, made to pixels by resvg-py: `pip install
'ergosum[faces]'`. Every part is drawn by itself, once, and laid on those below it; what a style blends with the part
below in another way (noses of personas) is therefore plain. Each style has a licence and authors of its own
(`licence`).
"""

import copy
import hashlib
import importlib
import io
import json
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ergosum.data.attributed import Attribute
from ergosum.data.cache import cache_folder

__all__ = [
    "ATTRIBUTES",
    "GROUNDS",
    "STYLES",
    "AvatarPart",
    "AvatarStyle",
    "Shown",
    "layers_of",
    "licence",
    "options_of",
]

SMILE = Attribute("smile", ("smiling", "serious"))
GLASSES = Attribute("glasses", ("glasses", "no_glasses"))
HAIR_LENGTH = Attribute("hair_length", ("long_hair", "short_hair"))
HAIR_COLOUR = Attribute("hair_colour", ("black_hair", "brown_hair", "red_hair", "blond_hair", "white_hair"))
BEARD = Attribute("beard", ("beard", "no_beard"))
SKIN = Attribute("skin", ("pale_skin", "tan_skin", "brown_skin", "dark_skin"))
ATTRIBUTES = (SMILE, GLASSES, HAIR_LENGTH, HAIR_COLOUR, BEARD, SKIN)
"""What is told of a face, in the order of the columns of values."""
COLOURS = {
    "hair_colour": ("#17120f", "#85491c", "#d1401a", "#efc95a", "#f4f2ee"),
    "skin": ("#ffdfc4", "#e0ac7e", "#a8683c", "#5c3a28"),
}
"""The colours of the values of hair_colour and skin, the same in all styles."""
GROUNDS = torch.tensor(
    [[0.71, 0.89, 0.96], [0.75, 0.91, 0.78], [0.82, 0.80, 0.96], [0.96, 0.85, 0.93], [0.98, 0.95, 0.76],
     [0.85, 0.87, 0.90]]
)  # fmt: skip
"""The colours of the background: blue, green, violet, rose, yellow, grey, all of them pale."""
_BASE = "skin"
"""The name of the layer of a style's head and neck, which is no component of it."""
_INK, _SHIRT = ("#262e33", "#7a2f3f", "#25557c"), ("#5199e4", "#44c585", "#ff6f69", "#ffd969", "#8a6fc9", "#5a6570")
_IRIS = ("#4b6478", "#6b4a2e", "#3f6b52")
_MISSING = "Faces are drawn with dicebear-core, dicebear-styles and resvg-py ({}): pip install 'ergosum[faces]'"


class AvatarPart(NamedTuple):
    """A part of a face that is drawn in several ways.

    Attributes:
        component: its name in the style. kinds: for each value of an attribute that it shows (one name without meaning
            where it shows none) the variants that show it; none where the part is left out to show it.
        colour: the style's name of its colour. shades: what the colour is; the name of an attribute takes that
            attribute's, and all parts of one image have the same of them.
    """

    component: str
    kinds: Mapping[str, tuple[str, ...]]
    colour: str = ""
    shades: tuple[str, ...] | str = ()


class AvatarStyle(NamedTuple):
    """How faces of a style are drawn.

    Attributes:
        parts: the components drawn, in any order. looked: the parts, beginning with what covers most.
        pairs: parts that can be taken for each other. least: the side in pixels at which all of it is still to be told
            apart. options: of the whole drawing.
    """

    parts: tuple[AvatarPart, ...]
    looked: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    least: int
    options: Mapping[str, Any]


class Shown(NamedTuple):
    """One option of a layer: what it is and what it tells.

    Attributes:
        variant: of the component, empty where it is left out. colour: of it, as #rrggbb, or empty.
        told: number of the value for each attribute that the option shows.
    """

    variant: str
    colour: str
    told: Mapping[str, int]


def _numbered(kind: str, *numbers: int) -> tuple[str, ...]:
    return tuple(f"{kind}{number:02d}" for number in numbers)


STYLES: dict[str, AvatarStyle] = {
    "pixel-art": AvatarStyle(
        (
            AvatarPart("clothes", {"": _numbered("variant", 1, 3, 4, 5, 6, 8, 12, 13, 14, 17, 23)}, "clothing", _SHIRT),
            AvatarPart("eyes", {"": _numbered("variant", 1, 3, 6, 7, 9, 11)}, "eyes", _IRIS),
            AvatarPart(
                "glasses",
                {"glasses": (*_numbered("dark", 5, 6, 7), *_numbered("light", 5, 6, 7)), "no_glasses": ()},
                "glasses",
                _INK,
            ),
            AvatarPart("beard", {"beard": _numbered("variant", 1, 4, 5, 6), "no_beard": ()}, "hair", "hair_colour"),
            AvatarPart(
                "mouth",
                {"smiling": _numbered("happy", 6, 7, 8, 9, 12), "serious": _numbered("sad", 1, 4, 5, 6, 7, 8, 9)},
                "mouth",
                ("#de0f0d", "#b5303f"),
            ),
            AvatarPart(
                "hair",
                {
                    "long_hair": _numbered("long", 1, 3, 7, 8, 9, 12, 13, 20, 21),
                    "short_hair": _numbered("short", 1, 2, 3, 4, 6, 9, 14, 15, 16, 17, 22),
                },
                "hair",
                "hair_colour",
            ),
        ),
        (_BASE, "hair", "clothes", "glasses", "eyes", "beard", "mouth"),
        ((_BASE, "beard"), ("eyes", "glasses")),
        16,
        {},
    ),
    "personas": AvatarStyle(
        (
            AvatarPart(
                "eyes", {"glasses": ("glasses", "sunglasses"), "no_glasses": ("happy", "open", "sleep", "wink")}
            ),
            AvatarPart(
                "hair",
                {
                    "long_hair": ("bobBangs", "bobCut", "extraLong", "long"),
                    "short_hair": ("buzzcut", "curlyHighTop", "fade", "shortCombover", "shortComboverChops"),
                },
                "hair",
                "hair_colour",
            ),
            AvatarPart("clothes", {"": ("checkered", "rounded", "small", "squared")}, "clothing", _SHIRT),
            AvatarPart("mouth", {"smiling": ("bigSmile", "smile"), "serious": ("frown", "surprise")}),
            AvatarPart("nose", {"": ("mediumRound", "smallRound")}),
            AvatarPart("facialHair", {"beard": ("goatee",), "no_beard": ()}, "facialHair", "hair_colour"),
        ),
        (_BASE, "hair", "clothes", "eyes", "facialHair", "mouth", "nose"),
        ((_BASE, "facialHair"),),
        32,
        {"scale": 1.2, "translateY": 4},
    ),
    "avataaars": AvatarStyle(
        (
            AvatarPart(
                "clothes",
                {"": ("collarAndSweater", "hoodie", "overall", "shirtCrewNeck", "shirtScoopNeck", "shirtVNeck")},
                "clothes",
                _SHIRT,
            ),
            AvatarPart("mouth", {"smiling": ("smile",), "serious": ("disbelief", "sad", "serious")}),
            AvatarPart("nose", {"": ("default",)}),
            AvatarPart("eyes", {"": ("closed", "default", "happy", "side", "surprised", "wink")}),
            AvatarPart("eyebrows", {"": ("defaultNatural", "flatNatural", "raisedExcitedNatural", "upDownNatural")}),
            AvatarPart(
                "top",
                {
                    "long_hair": (
                        "bob", "curly", "curvy", "longButNotTooLong", "miaWallace", "straight01", "straight02",
                        "straightAndStrand",
                    ),
                    "short_hair": (
                        "dreads01", "shaggy", "shortCurly", "shortFlat", "shortRound", "shortWaved", "theCaesar",
                        "theCaesarAndSidePart",
                    ),
                },
                "hair",
                "hair_colour",
            ),
            AvatarPart(
                "facialHair",
                {"beard": ("beardLight", "beardMajestic", "beardMedium"), "no_beard": ()},
                "facialHair",
                "hair_colour",
            ),
            AvatarPart(
                "accessories",
                {"glasses": ("kurt", "prescription01", "prescription02", "round", "sunglasses", "wayfarers"),
                 "no_glasses": ()},
                "accessories",
                _INK,
            ),
        ),
        (_BASE, "top", "clothes", "accessories", "facialHair", "eyes", "mouth", "eyebrows", "nose"),
        ((_BASE, "facialHair"), ("eyes", "accessories")),
        32,
        {"scale": 1.15, "translateY": 3},
    ),
}  # fmt: skip
"""Styles in which all attributes can be told apart at 32 pixels."""


def options_of(style: str) -> dict[str, list[Shown]]:
    """The options of every layer of a style by the layer's name, from below to above; the first shows nothing.

    Raises:
        ImportError: if the faces extra is not installed.
    """
    parts = {part.component: part for part in STYLES[style].parts}
    options = {_BASE: [Shown("", "", {}), *(Shown("", c, {_BASE: i}) for i, c in enumerate(COLOURS["skin"]))]}
    for element in _definition(style)["canvas"]["elements"]:
        if element["name"] in parts and element["type"] == "component":
            options[element["name"]] = _shown(parts[element["name"]])
    return options


def _shown(part: AvatarPart) -> list[Shown]:
    attribute = next((a for a in ATTRIBUTES if set(part.kinds) <= set(a.values)), None)
    by = part.shades if isinstance(part.shades, str) else ""
    shades = COLOURS[by] if by else part.shades or ("",)
    shown = [Shown("", "", {attribute.name: attribute.values.index(k)} if attribute else {})
             for k, variants in part.kinds.items() if not variants] or [Shown("", "", {})]  # fmt: skip
    for kind, variants in part.kinds.items():
        told = {attribute.name: attribute.values.index(kind)} if attribute else {}
        for variant in variants:
            shown += [Shown(variant, c, told | ({by: i} if by else {})) for i, c in enumerate(shades)]
    return shown


def layers_of(style: str, side: int) -> list[Tensor]:
    """The layers of `options_of` as pixels, drawn once and kept in the cache.

    Shape:
        Returns for each layer (options, 4, side, side), uint8, as `ergosum.data.layers.Layers` takes them.
    Raises:
        ImportError: if the faces extra is not installed. OSError: if the cache cannot be written.
    """
    options, definition = options_of(style), _definition(style)
    about = [definition, {k: [tuple(o) for o in v] for k, v in options.items()}, dict(STYLES[style].options), side,
             [version(p) for p in ("dicebear-core", "resvg-py")]]  # fmt: skip
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]
    path = cache_folder("avatars") / f"{style}-{side}-{digest}.npz"
    if not path.is_file():
        drawn = {name: _drawn(style, definition, name, shown, side) for name, shown in options.items()}
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            np.savez_compressed(file, **drawn)  # type: ignore[arg-type]
        Path(file.name).replace(path)
    try:
        with np.load(path) as held:
            return [torch.from_numpy(held[name]) for name in options]
    except Exception as error:
        raise OSError(f"{path} is damaged: {error}. Delete it and try again.") from error


def _drawn(style: str, definition: Mapping[str, Any], name: str, shown: list[Shown], side: int) -> np.ndarray:
    """The options of one layer, (options, 4, side, side), uint8."""
    dicebear = _imported("dicebear")
    part = next((p for p in STYLES[style].parts if p.component == name), None)
    elements = [
        e for e in definition["canvas"]["elements"] if (e["name"] == name if part else e["type"] != "component")
    ]
    components = {}
    if part:  # DiceBear checks all that a style holds, for seconds
        held, used = definition["components"][name], {option.variant for option in shown}
        components[name] = {**held, "variants": {k: v for k, v in held["variants"].items() if k in used}}
    canvas = {**definition["canvas"], "elements": elements}
    alone = dicebear.Style({**definition, "canvas": canvas, "components": components})
    colour = part.colour if part else _BASE
    images = np.zeros((len(shown), 4, side, side), np.uint8)
    for i, option in enumerate(shown):
        if not option.variant and not option.colour:
            continue
        chosen = {**STYLES[style].options, "seed": ""}
        if option.colour:
            chosen[f"{colour}Color"] = [option.colour]
        if part:
            chosen |= {f"{name}Variant": option.variant, f"{name}Probability": 100}
        images[i] = pixels(dicebear.Avatar(alone, chosen).to_string(), side)
    return images


def pixels(svg: str, side: int) -> np.ndarray:
    """A drawing as pixels, (4, side, side), uint8: red, green and blue, each times the cover, and the cover."""
    resvg = _imported("resvg_py")
    png = bytes(resvg.svg_to_bytes(svg_string=svg, width=side, height=side, skip_system_fonts=True))
    with Image.open(io.BytesIO(png)) as opened:
        laid = np.asarray(opened.convert("RGBA")).astype(np.float32)
    laid[..., :3] *= laid[..., 3:] / 255
    return laid.round().astype(np.uint8).transpose(2, 0, 1)


def licence(style: str) -> tuple[str, str, str]:
    """Name of a style's licence, its authors, and the line of attribution that the style itself gives.

    Raises:
        ImportError: if the faces extra is not installed.
    """
    meta = _definition(style)["meta"]
    return meta["license"]["name"], meta["creator"]["name"], meta["license"]["text"]


def _definition(style: str) -> dict[str, Any]:
    """A style as DiceBear describes it.

    Of pixel-art, beards have the whole colour of the hair: as published, a beard is the fainter the darker the hair,
    and black ones are not to be seen.
    """
    root = _imported("dicebear_styles")
    definition = json.loads(files(root).joinpath(f"{style}.json").read_text("utf-8"))
    if style == "pixel-art":
        definition = copy.deepcopy(definition)
        for variant in definition["components"]["beard"]["variants"].values():
            mask, painted = variant["elements"]
            mask["children"][0]["attributes"]["fill"] = "white"
            painted["children"] = painted["children"][:1]
    return definition


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(_MISSING.format(error)) from error
