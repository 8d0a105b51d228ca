"""`ergosum recombine`: exchange components between images, and put all of them into one."""

from pathlib import Path

from ergosum.cli.arguments import add_trust, parser_for, trusted
from ergosum.cli.images import UNLIKE, images_of, recomposer, unlike

__all__ = ["run"]


def run(arguments: list[str]) -> None:
    """A contact sheet of recombinations of two images, or of two rows of held-out ones."""
    parser = parser_for("recombine", "Exchange components between two images, and add all of both.")
    parser.add_argument("run", help="run folder, or name of a card such as tetrominoes")
    parser.add_argument(
        "--start", nargs="*", default=[], help="two images, files or held-out:N; default: rows of held-out images"
    )
    parser.add_argument(
        "--take", default="", metavar="CHOICE",
        help='components of the two images to add, such as "A:ground A:one B:two@0.25,-0.4", which moves the last',
    )  # fmt: skip
    parser.add_argument("--out", default="recombined.png", help="image to write (.png)")
    parser.add_argument("--seed", type=int, default=0, help="seed of held-out images and of the noise to start from")
    parser.add_argument(
        "--with", dest="other", default="", metavar="RUN", help="another run or card: its objects join the first's"
    )
    add_trust(parser)
    chosen = parser.parse_args(arguments)
    if len(chosen.start) not in (0, 2):
        raise ValueError(f"--start: expected two images, got {len(chosen.start)}.")
    if chosen.take and (not chosen.start or chosen.other):
        raise ValueError("--take: expected --start with two images, and one model, so not --with.")
    import torch

    from ergosum.data.listing import shown
    from ergosum.decomposition.figures import recombination_sheet, union_sheet
    from ergosum.decomposition.selection import choices_sheet, parse_choices
    from ergosum.report.animation import save_strip

    trust = trusted(chosen.trust)
    task, model = recomposer(chosen.run, trust)
    first, second = chosen.start or ("", "")
    one = images_of(first, task, chosen.seed)
    generator = torch.Generator().manual_seed(chosen.seed)
    other = (chosen.other, *recomposer(chosen.other, trust)) if chosen.other else (chosen.run, task, model)
    two = images_of(second, other[1], chosen.seed + 1)
    if chosen.take:
        sheet = choices_sheet(model, one, two, parse_choices(chosen.take, model.components), chosen.seed)
    elif chosen.other:
        sheet = union_sheet(model, other[2], (one, two), generator)
    else:
        sheet = recombination_sheet(model, one, two, generator)
    save_strip(sheet, Path(chosen.out))
    print(chosen.out)
    for path, (name, source, reader) in zip(chosen.start, [(chosen.run, task, model), other], strict=False):
        if not path.startswith("held-out:") and unlike(name, source, reader, path, chosen.seed):
            print(f"  {shown(path)} is {UNLIKE}")
