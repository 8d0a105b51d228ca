"""`ergosum inpaint`: hidden pixels of an image, drawn from a trained density given the known ones."""

import json
import sys
from argparse import SUPPRESS
from pathlib import Path
from typing import TYPE_CHECKING

from ergosum.cli.arguments import add_trust, parser_for, trusted

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["run"]


def run(arguments: list[str]) -> None:
    """Fill the hidden pixels, write the sheet, print how far the draws are from what the image has there."""
    parser = parser_for("inpaint", "Fill hidden pixels of an image with draws from a density, given the known ones.")
    parser.add_argument("card", help="a run or card of a density, such as mnist-density")
    parser.add_argument(
        "--start", required=True, metavar="IMAGE",
        help="an image file, whose middle square is taken at the density's size, or SOURCE:CLASS[@N], the N-th "
        "held-out image of a class, such as mnist:7@12",
    )  # fmt: skip
    parser.add_argument(
        "--mask", required=True, metavar="FILE|box:X,Y,W,H|random:SHARE|block:SIDE",
        help="pixels to hide: the black ones of an image file, a box in pixels of the density's images, a random "
        "share, or a square somewhere",
    )  # fmt: skip
    parser.add_argument("--condition", default="", help="class to draw from, by number or name; none: of all classes")
    parser.add_argument("--n", type=int, default=4, help="draws, >= 1")
    parser.add_argument("--steps", type=int, default=SUPPRESS, help="noise levels, >= 2 (default: 20)")
    parser.add_argument(
        "--corrections", type=int, default=SUPPRESS, help="trajectories at each level, >= 0 (default: 1)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the mask and of the draws")
    parser.add_argument("--out", default="inpainted.png", help="image to write (.png)")
    parser.add_argument("--json", action="store_true", help="print the numbers as one JSON object alone")
    add_trust(parser)
    chosen = parser.parse_args(arguments)
    if Path(chosen.out).suffix != ".png":
        raise ValueError(f"--out {chosen.out}: expected a name that ends in .png.")
    from ergosum.data.masks import parse_mask
    from ergosum.report.animation import save_strip
    from ergosum.report.tables import as_text
    from ergosum.training.runfolder import load_predictor

    mask = parse_mask(chosen.mask)
    experiment, model = load_predictor(chosen.card, trusted(chosen.trust))
    task = experiment.built()
    if not hasattr(task, "inpaint"):
        raise ValueError(
            f"{chosen.card}: its task, {type(task).__name__}, has no density that hidden pixels could be drawn from; "
            "for films see `ergosum fill`."
        )
    options = {name: getattr(chosen, name) for name in ("steps", "corrections") if hasattr(chosen, name)}

    def start(channels: int, side: int) -> "Tensor":
        return start_image(chosen.start, channels, side)

    made = task.inpaint(  # type: ignore[attr-defined]
        model, start, mask, condition=chosen.condition, n=chosen.n, seed=chosen.seed, **options
    )
    save_strip(made.image, Path(chosen.out))
    if chosen.json:
        print(json.dumps(made.numbers, indent=1))
        return
    print(f"{made.numbers['hidden']:.0%} of the pixels hidden", file=sys.stderr)
    for table in made.tables:
        print(as_text(table))
    print(chosen.out)


def start_image(text: str, channels: int, side: int) -> "Tensor":
    """An image (1, channels, side, side) in [0, 1]: a file's middle square, or a held-out image of a source.

    Raises:
        ValueError: if the text can be read as neither, or there are not so many. FileNotFoundError: without such a
        file.
    """
    import torch

    from ergosum.data.image_file import read_square
    from ergosum.data.labelled import LabelledImages

    if Path(text).exists() or ":" not in text:
        pixels = torch.tensor(read_square(text, side).pixels).movedim(2, 0)[None].float() / 255
        return pixels if channels == 3 else pixels.mean(1, keepdim=True).expand(-1, channels, -1, -1)
    source, _, wanted = text.rpartition(":")
    name, _, place = wanted.partition("@")
    if not name or (place and not place.isdecimal()):
        raise ValueError(f"--start {text}: expected an image file, or SOURCE:CLASS[@N], such as mnist:7 or mnist:7@12.")
    data = LabelledImages(source, side, channels, split="test")
    label = data.names.index(name) if name in data.names else int(name) if name.isdecimal() else -1
    if not 0 <= label < max(1, len(data.names)):
        known = ", ".join(data.names) or "none"
        raise ValueError(
            f"--start {text}: there is no class {name!r} in {source}; expected a number or one of {known}."
        )
    same = data.images[data.labels == label]
    if int(place or 0) >= len(same):
        raise ValueError(f"--start {text}: there are only {len(same)} held-out images of this class in {source}.")
    return same[int(place or 0)][None].contiguous()
