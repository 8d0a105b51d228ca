"""`ergosum infer`: which concepts are in images, by Bayes' rule over a trained model's energies."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ergosum.cli.arguments import add_trust, parser_for, trusted
from ergosum.cli.images import scores_of
from ergosum.cli.inpaint import start_image

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["run"]

NAMED = 10
"""Images unlike the training's that are named, at most."""


def run(arguments: list[str]) -> None:
    """Read images, print their values with probabilities."""
    parser = parser_for("infer", "Tell which concepts are in images, with probabilities.")
    parser.add_argument("card", help="a run or card of concepts, such as concepts-latents")
    parser.add_argument(
        "--start", metavar="IMAGE|FOLDER", default="",
        help="an image file, whose middle square is taken, or a folder of them (default: held-out images of the data)",
    )  # fmt: skip
    parser.add_argument(
        "--adapt", action="store_true",
        help="images made elsewhere, all in one place: their median is taken for its floor and exchanged for that of "
        "the data, and they are mirrored if they are then more like the data",
    )  # fmt: skip
    parser.add_argument("--n", type=int, default=8, help="held-out images, without --start, >= 1")
    parser.add_argument("--seed", type=int, default=0, help="of the noise and the choice of held-out images")
    parser.add_argument("--json", action="store_true", help="print one JSON object alone")
    add_trust(parser)
    chosen = parser.parse_args(arguments)
    import torch

    from ergosum.concepts.elsewhere import LEAST
    from ergosum.report.tables import as_text
    from ergosum.training.runfolder import load_predictor

    if chosen.n < 1:
        raise ValueError(f"--n {chosen.n}: expected at least 1.")
    experiment, model = load_predictor(chosen.card, trusted(chosen.trust))
    task = experiment.built()
    if not hasattr(task, "infer"):
        raise ValueError(f"{chosen.card}: its task, {type(task).__name__}, knows no concepts; see concepts-latents.")
    generator = torch.Generator().manual_seed(chosen.seed)
    if chosen.start:
        names, images = _images(chosen.start, model.channels, model.side)  # type: ignore[arg-type]
    else:
        images = task.data.build(split="test").attributed(chosen.n, generator).images  # type: ignore[attr-defined]
        names = [f"held-out image {number + 1}" for number in range(chosen.n)]
    source = task.source  # type: ignore[attr-defined]
    held_out = task.held_out_numbers(model, scores_of(chosen.card, source))  # type: ignore[attr-defined]
    made = task.infer(model, names, images, generator, held_out, chosen.adapt)  # type: ignore[attr-defined]
    if chosen.json:
        print(json.dumps(made.numbers, indent=1))
        return
    if held_out is None:
        print("The data are not at hand, so that nothing is told of images unlike them.", file=sys.stderr)
    if made.unlike:
        print(
            f"{len(made.unlike)} of {len(names)} unlike what this model was trained on, where values mean little (more "
            f"than all {made.numbers['held_out']} held-out images; of images like these at most {made.share:.1%} are):"
        )
        for name in made.unlike[:NAMED]:
            print(f"  {name}")
        if len(made.unlike) > NAMED:
            print(f"  ... all have a p of {made.share:.3f} below")
        if len(names) >= LEAST and not chosen.adapt:
            print("If they were made in one place, on another floor than the data's, --adapt may make them readable.")
    for table in made.tables:
        print(as_text(table))


def _images(start: str, channels: int, side: int) -> "tuple[list[str], Tensor]":
    """Names and pixels of an image file, or of those of a folder that can be read."""
    import torch

    from ergosum.data.image_file import UnreadableImage
    from ergosum.data.listing import image_files

    path = Path(start)
    if not path.is_dir():
        return [start], start_image(start, channels, side)
    names, found = [], []
    for file in image_files(path):
        try:
            found.append(start_image(str(file), channels, side))
            names.append(file.name)
        except UnreadableImage as error:
            print(error, file=sys.stderr)
    if not found:
        raise ValueError(f"{start}: expected a folder with images, found none that can be read.")
    return names, torch.cat(found)
