"""`ergosum decompose`: decompose images, one or a folder of a hundred thousand."""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ergosum.cli.arguments import add_trust, parser_for, trusted
from ergosum.cli.images import UNLIKE, images_of, recomposer, scores_of
from ergosum.cli.progress import is_main_process

if TYPE_CHECKING:
    from ergosum.decomposition.batch import Done
    from ergosum.decomposition.model import ImageDecomposer
    from ergosum.decomposition.task import OfImages

__all__ = ["run"]

NAMED = 10
"""Images unlike the training's that are named; of more, the index tells."""


def run(arguments: list[str]) -> None:
    """Components, masks and latents of images, and contact sheets."""
    parser = parser_for(
        "decompose",
        "Decompose images into components. Of an image or a folder, every image's latents, masks, components and PSNR "
        "are written as NAME.npz, with a list of all in index.jsonl and a contact sheet of the first; the same command "
        "goes on with a job that was stopped, and under torchrun the processes share the folder. Without --images "
        "only contact sheets of held-out images are written.",
    )
    parser.add_argument("run", help="run folder, or name of a card such as tetrominoes")
    parser.add_argument(
        "--images", "--start", dest="start", default="", metavar="PATH",
        help="image or folder of images; default: held-out images (torchrun takes --start for an option of its own)",
    )  # fmt: skip
    parser.add_argument("--out", required=True, help="folder for the results, one for each job")
    parser.add_argument("--seed", type=int, default=0, help="seed of held-out images and of the noise to start from")
    parser.add_argument(
        "--shadows", action="store_true",
        help="give every shadow to the ground: masks without shadows, and the shadow of each component (shadows)",
    )  # fmt: skip
    add_trust(parser)
    chosen = parser.parse_args(arguments)
    import torch

    from ergosum.decomposition.figures import components_sheet, maps_sheet
    from ergosum.decomposition.shadows import refuse_shadowless
    from ergosum.report.animation import save_strip

    task, model = recomposer(chosen.run, trusted(chosen.trust))
    if chosen.shadows:
        refuse_shadowless(model)
    out = Path(chosen.out)
    if chosen.start:
        _decompose(chosen, task, model)
        if (out / "sheet.png").exists() and is_main_process():
            print(out / "sheet.png")
        drawn = [(maps_sheet, "maps.png")] if Path(chosen.start).is_file() else []
    else:
        drawn = [(partial(components_sheet, shadows=chosen.shadows), "sheet.png"), (maps_sheet, "maps.png")]
    if not drawn:
        return
    images = images_of(chosen.start, task, chosen.seed)
    for draw, name in drawn:
        save_strip(draw(model, images, torch.Generator().manual_seed(chosen.seed)), out / name)
        print(out / name)


def _decompose(chosen, task: "OfImages", model: "ImageDecomposer") -> None:  # noqa: ANN001  # parsed arguments
    """Decompose an image or a folder, with a progress bar, and say what was written."""
    from rich.console import Console
    from rich.progress import Progress

    from ergosum.data.listing import shown
    from ergosum.decomposition.batch import decompose_folder, least_psnr

    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    least = least_psnr(task, model, scores_of(chosen.run, task.name))
    settings = task.model.to_dict()  # type: ignore[attr-defined]
    job = decompose_folder(
        model, chosen.start, chosen.out, seed=chosen.seed, least=least, settings=settings, process=(rank, world),
        shadows=chosen.shadows,
    )  # fmt: skip
    done, console = None, Console(stderr=True)
    with Progress(console=console, transient=True, disable=not (console.is_terminal and is_main_process())) as bar:
        shown_as = bar.add_task("decompose", total=None)
        for done in job:
            bar.update(
                shown_as, description=f"{done.written} written, {done.before} before, {len(done.skipped)} skipped"
            )
    assert done is not None
    which = f" (process {rank + 1} of {world})" if world > 1 else ""
    print(f"{chosen.out}: {_counted(done)}{which}")
    for path, why in done.skipped.items():
        print(f"  skipped {shown(path)}: {why}")
    if done.unlike:
        print(f"  {len(done.unlike)} {UNLIKE}")
        for path in done.unlike[:NAMED]:
            print(f"    {shown(path)}")
        if len(done.unlike) > NAMED:
            print(f"    ... all are marked in {Path(chosen.out) / 'index.jsonl'}")


def _counted(done: "Done") -> str:
    return f"{done.written} images written, {done.before} done before, {len(done.skipped)} skipped"
