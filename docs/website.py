"""Build the site: `make site` writes it to build/site, and ends with an error where anything is missing.

mkdocs.yml has the pages that are written by hand. Added to them here are the tutorials, run from the first cell to the
last, and the reference: every command and every public name of the package. Warnings are errors; so are a public name
without an entry, a formula that is not drawn, and a script, style, font or image of another host.
"""

import argparse
import contextlib
import inspect
import io
import json
import logging
import os
import re
import shutil
import sys
import tempfile
from html import escape
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import yaml

import ergosum

ROOT = Path(__file__).parents[1]
APART = ("ergosum.cli", "ergosum.__main__")
"""Modules whose names are no interface: commands have a page of their own."""
ALONE = "core"
"""The page of the modules that are no package."""
PICTURES = {".png", ".gif"}
OUTSIDE = re.compile(
    r"""<(?:script|img|iframe|source|video|link(?=[^>]*rel="?(?:stylesheet|preload|icon|preconnect|modulepreload)))
                         \b[^>]*?\b(?:src|href)="?((?:https?:)?//[^\s">]+)""",
    re.VERBOSE,
)
"""What a browser would fetch from elsewhere when it opens a page. Links that a reader may follow are none of it."""
FETCHED = re.compile(r"""(?:url\(|@import\s*)["']?((?:https?:)?//[^\s"')]+)""")
FORMULA = re.compile(r"(?<![\\$\w])\$[^$\n<]{1,80}?\$(?![\w$])")


def main() -> None:
    """Stage the pages, build."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site", help="where the site is written")
    parser.add_argument("--quick", action="store_true", help="show tutorials without running them")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        stage(Path(name), not options.quick)
        build(Path(name))
        faults = check(Path(name) / "site", public_names())
        if faults:
            sys.exit("\n".join(faults))
        shutil.rmtree(options.out, ignore_errors=True)
        shutil.copytree(Path(name) / "site", options.out)
    print(options.out)


def stage(folder: Path, run: bool) -> None:
    """Write mkdocs.yml and all pages, ready to be built, to `folder`."""
    pages = folder / "docs"
    shutil.copytree(ROOT / "docs", pages, ignore=shutil.ignore_patterns("*.py", "*.json", "*.ipynb", "__pycache__"))
    for page in ("CHANGELOG.md", "CONTRIBUTING.md"):
        (pages / page).write_text((ROOT / page).read_text().replace("](docs/", "]("))
    added = {
        "Start": [tutorial(path, pages / "tutorials", run) for path in tutorials()],
        "Reference": reference(pages / "reference"),
        "About": ["CONTRIBUTING.md", "CHANGELOG.md"],
    }
    for page in pages.glob("*.md"):
        text = re.sub(r"\]\(((?:tutorials/)?\w+)\.ipynb", r"](\1.md", page.read_text()).replace("](../C", "](C")
        page.write_text(re.sub(r"^\|.*", bars, text, flags=re.MULTILINE))
    before, nav = (ROOT / "mkdocs.yml").read_text().replace("build/site", "site").split("\nnav:\n")
    chapters = {title: pages for part in yaml.safe_load(nav) for title, pages in part.items()}
    for title, entries in added.items():
        chapters[title] = [*chapters.get(title, []), *entries]
    (folder / "mkdocs.yml").write_text(before + "\n" + yaml.safe_dump({"nav": [{t: e} for t, e in chapters.items()]}))


def tutorials() -> list[Path]:
    """The notebooks in the order of docs/tutorials.md."""
    return [
        ROOT / "docs" / name
        for name in re.findall(r"\((tutorials/\w+\.ipynb)\)", (ROOT / "docs/tutorials.md").read_text())
    ]


def bars(row: re.Match[str]) -> str:
    r"""A row of a table with the bars in its code as the site's Markdown wants them: `a \| b` keeps its backslash there."""
    return re.sub(
        r"`([^`]*\\\|[^`]*)`",
        lambda code: f"<code>{escape(code[1].replace(chr(92), ''))}</code>".replace("|", "&#124;"),
        row[0],
    )


def build(folder: Path) -> None:
    """Run zensical; a warning of any library is an error."""
    import zensical

    told: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    zensical.build(str(folder / "mkdocs.yml"), {"strict": True, "clean": True})
    if told:
        sys.exit("\n".join(told))


def check(site: Path, names: dict[str, list[str]]) -> list[str]:
    """What a built site lacks, one line each.

    Args:
        names: public names by module, each of which must have an entry of its own.
    """
    pages = {page.relative_to(site): page.read_text() for page in sorted(site.rglob("*.html"))}
    styles = {style.relative_to(site): style.read_text() for style in sorted(site.rglob("*.css"))}
    faults = [f"{page}: {found} is of another host" for page, text in pages.items() for found in OUTSIDE.findall(text)]
    faults += [
        f"{style}: {found} is of another host" for style, text in styles.items() for found in FETCHED.findall(text)
    ]
    entries = {entry for text in pages.values() for entry in re.findall(r'id="(ergosum[\w.]*)"', text)}
    faults += [
        f"the reference has no {m}.{name}" for m, own in names.items() for name in own if f"{m}.{name}" not in entries
    ]
    for page, text in pages.items():
        told = re.sub(r"<(pre|code|script|math)\b.*?</\1>", "", text, flags=re.DOTALL)
        faults += [f"{page}: the formula {found} is not drawn" for found in FORMULA.findall(told)]
    return faults


def public_names() -> dict[str, list[str]]:
    """Every module of the package that exports names of its own: module -> names."""
    found: dict[str, list[str]] = {}
    for module in sorted(m.name for m in walk_packages(ergosum.__path__, "ergosum.")):
        if not module.startswith(APART):
            names = getattr(import_module(module), "__all__", ())
            found[module] = [name for name in names if _home(module, name) == module]
    return {module: names for module, names in found.items() if names}


def _home(module: str, name: str) -> str:
    """Where a name is defined: what a package hands on is told where it stands."""
    value = getattr(import_module(module), name)
    if (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__.startswith("ergosum."):
        return value.__module__
    return module if not hasattr(import_module(module), "__path__") else ""


def reference(folder: Path) -> list[Any]:
    """Write a page for every room, and those of commands and cards; gives their places in the navigation."""
    folder.mkdir()
    rooms: dict[str, dict[str, list[str]]] = {}
    for module, names in public_names().items():
        room = module.split(".")[1]
        is_package = hasattr(import_module(f"ergosum.{room}"), "__path__")
        rooms.setdefault(room if is_package else ALONE, {})[module] = names
    for room, modules in rooms.items():
        (folder / f"{room}.md").write_text(_room(room, modules))
    (folder / "commands.md").write_text(_commands())
    (folder / "index.md").write_text(_index(rooms))
    order = [ALONE, *sorted(set(rooms) - {ALONE})]
    return ["reference/index.md", "reference/commands.md", *(f"reference/{room}.md" for room in order)]


def _room(room: str, modules: dict[str, list[str]]) -> str:
    """The page of one room: its modules, and in each its names."""
    about = (
        "Energies, their algebra, formulas and files." if room == ALONE else _first(import_module(f"ergosum.{room}"))
    )
    lines = [f"# {'ergosum' if room == ALONE else f'ergosum.{room}'}", "", about, ""]
    for module, names in modules.items():
        lines += [f"## {module.removeprefix('ergosum.')}", "", _first(import_module(module)), ""]
        lines += [line for name in names for line in (f"::: {module}.{name}", "")]
    return "\n".join(lines)


def _first(thing: Any) -> str:
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def _index(rooms: dict[str, dict[str, list[str]]]) -> str:
    """All names in one list, those of `from ergosum import ...` first."""
    homes = {name: getattr(ergosum, name).__module__ for name in ergosum.__all__}
    lines = ["# Reference", "", "Every public name. What `from ergosum import ...` gives:", ""]
    lines += [", ".join(f"[`{name}`][{home}.{name}]" for name, home in homes.items()), ""]
    for room, modules in rooms.items():
        lines += [f"## [{room}]({room}.md)", ""]
        for module, names in modules.items():
            shown = ", ".join(f"[`{name}`][{module}.{name}]" for name in names)
            lines += [f"- `{module}`: {shown}"]
        lines.append("")
    return "\n".join(lines)


def _commands() -> str:
    """The help of every command."""
    from ergosum.cli import COMMANDS, main

    lines = ["# Commands", "", "`ergosum COMMAND --help` prints the same.", ""]
    for command in COMMANDS:
        told = io.StringIO()
        with contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
            main([command, "--help"])
        lines += [f"## ergosum {command}", "", "```text", told.getvalue().strip(), "```", ""]
    return "\n".join(lines)


def tutorial(path: Path, folder: Path, run: bool) -> str:
    """Write a notebook as a page: its text, its code, and what running it prints and draws."""
    folder.mkdir(exist_ok=True)
    lines, session = [], {"__name__": "tutorial"}
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        for cell in json.loads(path.read_text())["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                lines += [source.replace(".ipynb)", ".md)"), ""]
                continue
            lines += ["```python", source, "```", ""]
            if run:
                lines += _shown(*_run(source, session), path.stem, folder)
    lines += [f"[The notebook]({path.name})", ""]
    shutil.copy(path, folder / path.name)
    (folder / f"{path.stem}.md").write_text("\n".join(lines))
    return f"tutorials/{path.stem}.md"


def _run(source: str, session: dict[str, Any]) -> tuple[str, list[Path]]:
    """What a cell prints, and the pictures that it writes."""
    told, before = io.StringIO(), {p: p.stat().st_mtime_ns for p in Path().rglob("*")}
    with contextlib.redirect_stdout(told):
        exec(compile(source, "a cell", "exec"), session)
    new = [p for p in sorted(Path().rglob("*")) if p.suffix in PICTURES and before.get(p) != p.stat().st_mtime_ns]
    return told.getvalue(), new


def _shown(told: str, pictures: list[Path], stem: str, folder: Path) -> list[str]:
    lines = ["```text", told.rstrip(), "```", ""] if told.strip() else []
    for picture in pictures:
        kept = folder / f"{stem}-{picture.name}"
        shutil.copy(picture, kept)
        lines += [f"![{picture.stem}]({kept.name})", ""]
    return lines


if __name__ == "__main__":
    os.environ.setdefault("COLUMNS", "100")
    main()
