"""`ergosum recombine`: exchange components between pictures, and put all of them into one."""

from pathlib import Path

from ergosum.cli.arguments import parser_for
from ergosum.cli.pictures import pictures_of, recomposer

__all__ = ["run"]


def run(arguments: list[str]) -> None:
    """A sheet of recombinations of two pictures, or of two rows of held-out ones."""
    parser = parser_for("recombine", "Exchange components between two pictures, and add all of both.")
    parser.add_argument("run", help="run folder, or name of a card such as tetrominoes")
    parser.add_argument("--start", nargs="*", default=[], help="two images; default: held-out pictures")
    parser.add_argument("--out", default="recombined.png", help="picture to write (.png)")
    parser.add_argument("--seed", type=int, default=0, help="seed of held-out pictures and of the noise to start from")
    parser.add_argument(
        "--with", dest="other", default="", metavar="RUN", help="another run or card: its objects join the first's"
    )
    chosen = parser.parse_args(arguments)
    if len(chosen.start) not in (0, 2):
        raise ValueError(f"--start: expected two images, got {len(chosen.start)}.")
    import torch

    from ergosum.report.animation import save_strip
    from ergosum.stories.decomposition import recombination_sheet, union_sheet

    experiment, model = recomposer(chosen.run)
    first, second = chosen.start or ("", "")
    one = pictures_of(first, experiment, chosen.seed)
    generator = torch.Generator().manual_seed(chosen.seed)
    if chosen.other:
        theirs, other = recomposer(chosen.other)
        two = pictures_of(second, theirs, chosen.seed + 1)
        picture = union_sheet(model, other, (one, two), generator)
    else:
        two = pictures_of(second, experiment, chosen.seed + 1)
        picture = recombination_sheet(model, one, two, generator)
    save_strip(picture, Path(chosen.out))
    print(chosen.out)
