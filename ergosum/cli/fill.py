"""`ergosum fill`: missing frames and hidden pixels of a film, filled by energies of change."""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ergosum.cli.arguments import add_trust, parser_for, trusted
from ergosum.cli.start import DEFAULTS, bank_of

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["run"]


def run(arguments: list[str]) -> None:
    """Fill a film, write it, and print the timeline it follows."""
    parser = parser_for("fill", "Fill missing frames and hidden pixels of a film with energies of change.")
    parser.add_argument(
        "film", help="a folder of frames, a GIF, an array .npy (hidden where it is NaN) or a video; its middle "
        "square, at the energies' own size"
    )  # fmt: skip
    parser.add_argument(
        "--with",
        dest="runs",
        nargs="+",
        default=list(DEFAULTS),
        metavar="CARD",
        help="runs or cards whose energies act",
    )
    parser.add_argument(
        "--missing",
        metavar="3,5-7",
        help="frames to make anew, counted from 0, whatever stands there",
    )
    parser.add_argument(
        "--between", type=int, default=0, metavar="N", help="frames to add between every two of the film, 0 or more"
    )
    parser.add_argument(
        "--mask", metavar="FILE|box:X,Y,W,H|random:SHARE",
        help="pixels to make anew in every frame: the black ones of an image, a box in pixels of the energies' "
        "canvas, or a random share of each frame",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of a random mask")
    parser.add_argument("--timeline", help='what moved, where it is known, such as "scale:3 colour:9"; else it is read')
    parser.add_argument("--out", default="filled.gif", help="image to write: .png sheet or .gif animation")
    add_trust(parser)
    chosen = parser.parse_args(arguments)
    out = Path(chosen.out)
    if out.suffix not in (".png", ".gif"):
        raise ValueError(f"--out {chosen.out}: expected a name that ends in .png or .gif.")
    if chosen.between < 0:
        raise ValueError(f"--between: expected 0 or more frames, got {chosen.between}.")
    import torch

    from ergosum.report.animation import save_animation, save_strip
    from ergosum.report.strips import sheet
    from ergosum.temporal.gaps.path import as_timeline, fill

    bank = bank_of(chosen.runs, trusted(chosen.trust))
    frames, seen = _film(chosen.film, bank.canvas)
    if chosen.mask:
        seen = seen & ~_hidden(chosen.mask, len(frames), bank.canvas, chosen.seed)
    if chosen.missing:
        seen[_numbers(chosen.missing, len(frames))] = False
    frames, seen = _spaced(frames, seen, chosen.between)
    print(f"{len(frames)} frames, {1 - seen.float().mean().item():.0%} of their pixels hidden", file=sys.stderr)
    filled = fill(bank, frames[None], seen[None], chosen.timeline)
    first, last = filled.energy[0].item(), filled.energy[-1].item()
    print(f"energy of the path {first:.2f}, after descent {last:.2f}", file=sys.stderr)
    made = filled.frames[0]
    if out.suffix == ".gif":
        save_animation(made, out, zoom=max(1, 168 // bank.canvas))
    else:
        given = torch.where(seen, frames, 0.25)
        numbers = [str(t + 1) for t in range(len(made))]
        kept = [t for t in range(len(made)) if seen[t].all()]
        save_strip(sheet([("seen", given), ("filled", made)], numbers, max(1, 84 // bank.canvas), kept), out)
    print(as_timeline(filled.moves[0], bank.factors))
    print(out)


def _film(path: str, side: int) -> "tuple[Tensor, Tensor]":
    """Frames (time, 3, side, side) and what is seen of them, (time, 1, side, side)."""
    import numpy as np
    import torch
    from torch.nn import functional

    from ergosum.data.film_file import read_film

    if Path(path).suffix == ".npy" and Path(path).is_file():
        try:
            array = np.load(path)
        except (ValueError, EOFError, OSError) as error:
            raise ValueError(f"{path} is no array that NumPy can read, or a broken one.") from error
        if np.issubdtype(array.dtype, np.floating) and np.isnan(array).any():
            frames = torch.from_numpy(_channels_first(path, array)).float()
            known = (~frames.isnan()).all(1, keepdim=True).float()
            frames = frames.nan_to_num(0) * known
            if frames.min() < 0 or frames.max() > 1:
                raise ValueError(
                    f"{path}: expected floats in 0 .. 1 beside NaN, got {frames.min():g} .. {frames.max():g}."
                )
            if frames.shape[-1] != side:  # a pixel is seen if most of what goes into it is
                size = {"size": (side, side), "mode": "bilinear", "antialias": True}
                share = functional.interpolate(known, **size)
                frames, known = functional.interpolate(frames, **size) / share.clamp_min(1e-6), (share > 0.5).float()
            return frames.clamp(0, 1) * known, known > 0
    frames = read_film(path, side).frames
    return frames, torch.ones(len(frames), 1, side, side, dtype=torch.bool)


def _channels_first(path: str, array):  # noqa: ANN001, ANN202
    """The middle squares of an array of frames, (time, 3, side, side)."""
    import numpy as np

    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[-1] in (1, 3):
        array = np.moveaxis(array, -1, 1)
    if array.ndim != 4 or array.shape[1] not in (1, 3) or len(array) < 2:
        raise ValueError(
            f"{path}: expected two frames or more, (time, H, W), (time, H, W, 3) or (time, 3, H, W), got {array.shape}."
        )
    side = min(array.shape[2:])
    top, left = ((n - side) // 2 for n in array.shape[2:])
    array = array[:, :, top : top + side, left : left + side]
    return np.ascontiguousarray(np.broadcast_to(array, (len(array), 3, side, side)))


def _hidden(text: str, count: int, side: int, seed: int) -> "Tensor":
    """Pixels that a mask hides, (time, 1, side, side)."""
    import torch

    kind, _, rest = text.partition(":")
    hidden = torch.zeros(count, 1, side, side, dtype=torch.bool)
    try:
        numbers = [float(v) for v in rest.split(",")]
    except ValueError:
        numbers = []
    if kind == "random" and not Path(text).exists():
        if len(numbers) != 1 or not 0 <= numbers[0] < 1:
            raise ValueError(
                f"--mask {text}: expected random:SHARE with a share from 0 to below 1, such as random:0.5."
            )
        return torch.rand(hidden.shape, generator=torch.Generator().manual_seed(seed)) < numbers[0]
    if kind == "box" and not Path(text).exists():
        if len(numbers) != 4 or not all(math.isfinite(v) and v == int(v) for v in numbers):
            raise ValueError(f"--mask {text}: expected box:X,Y,W,H in whole pixels, such as box:7,7,14,14.")
        x, y, w, h = map(int, numbers)
        if min(x, y) < 0 or min(w, h) < 1 or x + w > side or y + h > side:
            raise ValueError(f"--mask {text}: expected a box within the energies' canvas of {side}x{side} pixels.")
        hidden[:, :, y : y + h, x : x + w] = True
        return hidden
    from ergosum.data.image_file import read_square

    black = torch.tensor(read_square(text, side).pixels).float().mean(2) < 127.5
    return black.expand(hidden.shape)


def _numbers(text: str, count: int) -> list[int]:
    """Places in a film of `count` frames that `3,5-7` names, counted from 0."""
    found: list[int] = []
    for part in text.replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"--missing {text}: cannot read {part!r}; expected numbers and ranges, such as 3,5-7.")
        a, b = int(first), int(last or first)
        if not 0 <= a <= b < count:
            raise ValueError(f"--missing {text}: expected frames 0 .. {count - 1} in rising order, got {part!r}.")
        found += range(a, b + 1)
    return found


def _spaced(frames: "Tensor", seen: "Tensor", between: int) -> "tuple[Tensor, Tensor]":
    """The film with `between` unseen frames between every two."""
    if not between:
        return frames, seen
    wide = frames.new_zeros((len(frames) - 1) * (between + 1) + 1, *frames.shape[1:])
    shown = seen.new_zeros(len(wide), *seen.shape[1:])
    wide[:: between + 1], shown[:: between + 1] = frames, seen
    return wide, shown
