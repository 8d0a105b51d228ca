"""A digit that a user wrote, drew or photographed, as the frames of the sequences are: bright on black, red, small.

Paper is never evenly lit, so its brightness is fitted by a polynomial of second degree in the place,
$p(x, y) = a + b x + c y + d x^2 + e x y + f y^2$, first on the rim of the image and then on all that is not ink. Of
dark ink, what counts is the part of the paper's light that it takes away, $1 - I / p$; of bright ink on a ground that
is not black, the part of what is missing to white that it adds, $(I - p) / (1 - p)$.
"""

import colorsys
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ergosum.data.placement import Placement
from ergosum.data.sources import fit_canvas

__all__ = ["Colour", "OwnDigit", "as_digit"]

Colour = Literal["keep", "red"]

_BLACK = 0.1
"""A ground no brighter than this is left as it is."""
_EVEN = 0.01
"""Spread of brightness up to which paper has one brightness."""
_FAINT = 0.05
"""Contrast of ink below which there is none."""
_COLOURED = 0.25
"""Saturation from which on ink has a hue; black ink under a warm lamp stays below it once the paper is divided out."""
_LUMINANCE = torch.tensor([0.299, 0.587, 0.114])


class OwnDigit(NamedTuple):
    """A frame, what was changed to get it (a sentence each), and where it lies on the image that was given.

    Shape:
        frame: (3, canvas, canvas) in [0, 1].
    """

    frame: Tensor
    notes: tuple[str, ...]
    placement: Placement


def as_digit(image: Tensor, canvas: int = 28, *, invert: bool | None = None, colour: Colour | None = None) -> OwnDigit:
    """An image of one digit as a frame to steer: bright on black, grey turned red, padded to a square, resized.

    A bright digit on black is only coloured and resized, so that frames of the sequences pass unchanged.

    Args:
        image: as `read_image(path, background=None)` gives it.
        canvas: pixels of a side of the frame, >= 4.
        invert: whether the digit is dark on light. None looks at the image; False also leaves its ground as it is.
        colour: `red` takes the brightness alone, `keep` the colour (grey stays grey). None keeps the hue of a coloured
            digit and makes a grey one red, as in the sequences. Dark ink that keeps its hue is fully saturated.
    Shape:
        image: (C, height, width) in [0, 1]: grey, grey and transparency, RGB, or RGB and transparency.
    Raises:
        ValueError: if the shape or range is another, or no ink can be told from its ground.
    """
    if image.ndim != 3 or not 1 <= len(image) <= 4 or min(image.shape[-2:]) < 4:
        raise ValueError(f"as_digit: expected (C, height, width), C 1 to 4, 4x4 or more, got {tuple(image.shape)}.")
    if not (image.min() >= 0 and image.max() <= 1):
        raise ValueError(f"as_digit: expected values 0 .. 1, got {image.min():g} .. {image.max():g}.")
    if colour not in (None, "keep", "red"):
        raise ValueError(f"colour: expected 'keep' or 'red', got {colour!r}.")
    notes: list[str] = []
    rgb = _opaque(image, notes)
    rgb = rgb.expand(3, -1, -1) if len(rgb) == 1 else rgb
    ink, dark = _ink(rgb, invert, notes)
    frame = _coloured(ink, dark, colour, notes)
    height, width = image.shape[-2:]
    longer = max(height, width)
    left, top = -((longer - width) // 2), -((longer - height) // 2)
    padded = "padded with black to a square" if height != width else ""
    resized = f"resized to {canvas}x{canvas}" if longer != canvas else ""
    if done := " and ".join(filter(None, (padded, resized))):
        notes.append(f"{width}x{height} pixels were {done}.")
    frame = fit_canvas(frame, canvas)
    return OwnDigit(frame, tuple(notes), Placement((width, height), (left, top, left + longer, top + longer)))


def _opaque(image: Tensor, notes: list[str]) -> Tensor:
    """Without transparency: laid on the opposite of the ink, or, where little is transparent, on what is most there."""
    if len(image) not in (2, 4):
        return image
    seen, alpha = image[:-1], image[-1:]
    if alpha.min() >= 1 - 1 / 255:
        return seen
    if alpha.sum() == 0:
        raise ValueError("as_digit: the image is wholly transparent.")
    if alpha.mean() > 0.5:
        ground = seen[:, alpha[0] > 0.5].median(1).values[:, None, None]
        notes.append("What is transparent was filled with the colour of the ground.")
    else:
        mean = (seen * alpha).sum((1, 2)) / alpha.sum()
        bright = float(mean @ _LUMINANCE if len(mean) == 3 else mean) >= 0.5
        ground = torch.zeros(1, 1, 1) if bright else torch.ones(1, 1, 1)
        notes.append(f"What is transparent was taken for {'black' if bright else 'white paper'}.")
    return seen * alpha + ground * (1 - alpha)


def _ink(rgb: Tensor, invert: bool | None, notes: list[str]) -> tuple[Tensor, bool]:
    """How much ink there is at each pixel, by channel, and whether it was dark on light."""
    if invert is False:
        return rgb, False
    ground = _ground(rgb)
    contrast = torch.einsum("c,chw->hw", _LUMINANCE, rgb - ground)
    below, above = (-_quantile(contrast, 0.005)).item(), _quantile(contrast, 0.995).item()
    dark = below > above if invert is None else invert
    if (below if dark else above) < _FAINT and invert is None:
        raise ValueError("as_digit: no digit can be told from its ground; expected ink on paper, or bright on black.")
    black = _quantile(ground.amax(0), 0.9) <= _BLACK
    if not dark and black:
        return rgb, False
    if dark:
        notes.append("The digit is dark on light; it was inverted to bright on black.")
        if black or ground.min() >= 1 - _EVEN:
            return 1 - rgb, True
        ink = (1 - rgb / ground.clamp(min=1e-3)).clamp(0, 1)
    else:
        notes.append("The ground is not black; it was set to black.")
        ink = ((rgb - ground) / (1 - ground).clamp(min=1e-3)).clamp(0, 1)
    return _stretched(ink, notes), dark


def _ground(rgb: Tensor) -> Tensor:
    """The brightness of the paper at each pixel and channel, where ink lies too."""
    scale = max(1.0, max(rgb.shape[-2:]) / 64)
    small = F.interpolate(rgb[None], [max(4, int(n / scale)) for n in rgb.shape[-2:]], mode="area")[0]
    terms = _terms(*small.shape[-2:])
    values = small.flatten(1).T.double()
    rim = torch.zeros(small.shape[-2:], dtype=torch.bool)
    rim[0] = rim[-1] = rim[:, 0] = rim[:, -1] = True
    level = small[:, rim].median(1).values
    if ((small[:, rim] - level[:, None]).abs().amax(0) < _EVEN).float().mean() > 0.5:  # no lamp, but a drawing program
        return level[:, None, None].expand_as(rgb)
    paper = rim.flatten()
    trust = torch.ones_like(values[paper, :1])
    for _ in range(20):  # least absolute differences: ink on less than half of the rim does not matter
        residual = values[paper] - terms[paper] @ _least_squares(terms[paper], values[paper], trust)
        trust = 1 / residual.abs().amax(1, keepdim=True).clamp(min=1e-4).sqrt()
    solution = _least_squares(terms[paper], values[paper], trust)
    for _ in range(3):
        away = (values - terms @ solution).abs().amax(1)
        paper = away <= max(0.3 * away.max().item(), 3 * away[paper].median().item())
        solution = _least_squares(terms[paper], values[paper])
    return (_terms(*rgb.shape[-2:]) @ solution).T.unflatten(1, rgb.shape[-2:]).float().clamp(0, 1)


def _least_squares(terms: Tensor, values: Tensor, weight: Tensor | float = 1.0) -> Tensor:
    return torch.linalg.lstsq(weight * terms, weight * values).solution


def _terms(height: int, width: int) -> Tensor:
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, n, dtype=torch.float64) for n in (height, width)), indexing="ij")
    return torch.stack([torch.ones_like(x), x, y, x * x, x * y, y * y], -1).flatten(0, 1)


def _stretched(ink: Tensor, notes: list[str]) -> Tensor:
    """Ink without the noise of the paper, and as strong as can be."""
    strength = ink.amax(0)
    half = _quantile(strength, 0.995) / 2
    paper, full = strength[strength < half], _quantile(strength[strength >= half], 0.9)
    middle = paper.median()
    floor = middle + 3 * 1.4826 * (paper - middle).abs().median()
    notes.append(f"Its contrast of {full - floor:.2f} was stretched to 1, and unevenness of the paper removed.")
    return (ink * ((strength - floor) / (full - floor) / strength.clamp(min=1e-6)).clamp(min=0)).clamp(0, 1)


def _coloured(ink: Tensor, dark: bool, colour: Colour | None, notes: list[str]) -> Tensor:
    strength = ink.amax(0)
    mean = ink[:, strength >= 0.5 * _quantile(strength, 0.995)].mean(1)
    mean = 1 - mean if dark else mean  # of dark ink, the colour is what it leaves
    spread = (mean.max() - mean.min()).item()
    grey = spread <= 0.1 or spread <= _COLOURED * mean.max().item()
    if colour == "red" or (grey and colour is None):
        kind = "grey" if grey else "coloured"
        if bool((ink[1:] > 0).any()):
            notes.append(f"The digit is {kind}; it was made red, as the digits of the sequences are.")
        return torch.stack([strength, torch.zeros_like(strength), torch.zeros_like(strength)])
    if not dark:
        return ink
    hue = 0.0 if grey else colorsys.rgb_to_hsv(*mean.tolist())[0]
    if not grey:
        notes.append(f"The digit keeps its hue of {360 * hue:.0f} degrees, fully saturated.")
    shade = torch.tensor(colorsys.hsv_to_rgb(hue, 0.0 if grey else 1.0, 1.0))
    return strength * shade[:, None, None]


def _quantile(values: Tensor, part: float) -> Tensor:
    """A quantile without interpolation, of any number of values."""
    flat = values.flatten()
    return flat.kthvalue(1 + round(part * (len(flat) - 1))).values
