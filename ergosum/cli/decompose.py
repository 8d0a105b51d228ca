"""`ergosum decompose`: take pictures apart, one or a folder of a hundred thousand."""

from pathlib import Path

from ergosum.cli.arguments import parser_for
from ergosum.cli.pictures import pictures_of, recomposer

__all__ = ["run"]


def run(arguments: list[str]) -> None:
    """Components, masks and latents of pictures, and a sheet."""
    parser = parser_for("decompose", "Take pictures apart: components, masks, latents (.npz), and two sheets.")
    parser.add_argument("run", help="run folder, or name of a card such as tetrominoes")
    parser.add_argument("--start", default="", help="image or folder of images; default: held-out pictures")
    parser.add_argument("--out", required=True, help="folder for sheet.png, maps.png and the .npz files")
    parser.add_argument("--seed", type=int, default=0, help="seed of held-out pictures and of the noise to start from")
    chosen = parser.parse_args(arguments)
    import torch

    from ergosum.report.animation import save_strip
    from ergosum.stories.decomposition import decompose_folder, maps_sheet, parts_sheet

    experiment, model = recomposer(chosen.run)
    out = Path(chosen.out)
    if not Path(chosen.start).is_dir() or not chosen.start:
        pictures = pictures_of(chosen.start, experiment, chosen.seed)
        for draw, name in ((parts_sheet, "sheet.png"), (maps_sheet, "maps.png")):
            save_strip(draw(model, pictures, torch.Generator().manual_seed(chosen.seed)), out / name)
            print(out / name)
        return
    from rich.progress import Progress

    done = None
    with Progress(transient=True) as bar:
        task = bar.add_task("decompose", total=None)
        for done in decompose_folder(model, Path(chosen.start), out, chosen.seed):
            bar.update(task, description=f"{done.written} written, {done.before} before, {len(done.skipped)} skipped")
    assert done is not None
    print(f"{out}: {done.written} pictures written, {done.before} done before, {len(done.skipped)} skipped")
    for path, why in done.skipped.items():
        print(f"  skipped {path}: {why}")
