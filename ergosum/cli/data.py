"""`ergosum data`: which datasets there are, and what one looks like."""

from pathlib import Path

from ergosum.cli.arguments import SOURCES, UsageError, add_trust, parser_for, trusted

__all__ = ["run"]

NAMES = (
    "sequences, tetrominoes, shapes, scenes, toy, lighting, still, digits, mnist-1000, mnist, fashion, a folder of "
    "images, a class such as Glyphs, DSprites (with --path) or my_package.Stripes (with --trust my_package), or "
    "datasets joined by '+', such as digits+fashion"
)
"""Help text of the dataset's name."""


def run(arguments: list[str]) -> None:
    """List the datasets, or draw a contact sheet of one."""
    parser = parser_for("data", "List the datasets and the files that are read, or draw a contact sheet of one.")
    parser.add_argument("action", nargs="?", default="list", choices=["list", "show"], help="show: a contact sheet")
    parser.add_argument("name", nargs="?", default="", help=NAMES)
    parser.add_argument("--out", default="", help="of show: image to write (.png)")
    parser.add_argument("--path", default="", help="file or folder that the dataset reads; `ergosum data` lists them")
    parser.add_argument("--source", default="digits", help=SOURCES + "; of LabelledImages, too")
    parser.add_argument("--seed", type=int, default=0, help="digits and trajectories to draw")
    parser.add_argument(
        "--canvas", type=int, default=0, help="side of an image in pixels; 0: 28, or of your own dataset its default"
    )
    add_trust(parser)
    chosen = parser.parse_args(arguments)
    if chosen.action == "list":
        if chosen.name:
            raise UsageError(f"data list takes no name, got {chosen.name!r}; data show {chosen.name} draws a sheet")
        print(listing())
        return
    if not chosen.name or not chosen.out:
        raise UsageError("data show: the following arguments are required: " + ("--out" if chosen.name else "name"))
    from ergosum.report.animation import save_strip
    from ergosum.report.sheets import sheet_of

    draw = sheet_of(chosen.name, trusted(chosen.trust), chosen.path)
    save_strip(draw(chosen.source, chosen.seed, chosen.canvas), Path(chosen.out))
    print(chosen.out)


def listing() -> str:
    """Datasets that are drawn or shipped, and the files that are read, in lines."""
    from ergosum.cli.fields import first_line
    from ergosum.cli.parts import by_kind
    from ergosum.data.files.formats import FORMATS
    from ergosum.data.named import NAMES as SHORT

    read = {form.cls for form in FORMATS}
    lines = [f"by short names: {', '.join(('sequences', *SHORT))}", ""]
    for kind, found in by_kind().items():
        if kind.startswith("dataset") and (own := [cls for cls in found if cls not in read]):
            lines += [f"{kind}:", *(f"  {cls.__name__:20s}{first_line(cls)}" for cls in own), ""]
    lines.append("read from files (--data NAME --data.path FILE in a recipe, data show NAME --path FILE here):")
    for form in FORMATS:
        extra = f" (pip install 'ergosum[{form.extra}]')" if form.extra else ""
        lines.append(f"  {form.cls.__name__:20s}{form.expects} -> {form.gives}{extra}")
        lines += [f"  {'':20s}{form.published}"] if form.published else []
    return "\n".join(lines)
