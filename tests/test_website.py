"""The site: what its builder adds to the pages, what it refuses, and that the pages are all there."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import ergosum

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(autouse=True)
def builder(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))


def navigation():
    chapters = yaml.safe_load((ROOT / "mkdocs.yml").read_text().split("\nnav:\n")[1])
    return [page for chapter in chapters for pages in chapter.values() for page in pages]


def exported():
    """Every name in an `__all__` below `ergosum`, as its source has it: module -> names; commands are none of them."""
    found = {}
    for path in sorted((ROOT / "ergosum").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                found[module] = ergosum.__all__ if module == "ergosum" else ast.literal_eval(node.value)
    return {module: names for module, names in found.items() if not module.startswith("ergosum.cli")}


def test_every_page_has_a_place_in_the_navigation():
    assert sorted(navigation()) == sorted(page.name for page in DOCS.glob("*.md")), "mkdocs.yml, nav"


def test_the_reference_has_every_name_that_a_module_exports():
    from website import public_names

    told = public_names()
    names = {name for own in told.values() for name in own}
    assert {(m, name) for m, own in exported().items() for name in own if name not in names} == set()
    for module, own in told.items():
        assert set(own) <= set(exported()[module]), "a name that its module does not export"
    assert sum(map(len, told.values())) == len({f"{m}.{n}" for m, own in told.items() for n in own}) > 900


def test_the_tutorials_are_all_listed():
    from website import tutorials

    assert sorted(tutorials()) == sorted((DOCS / "tutorials").glob("*.ipynb"))


def test_a_picture_of_the_gallery_stands_above_the_command_that_makes_it():
    blocks = re.split(r"(?=^!\[)", (DOCS / "gallery.md").read_text(), flags=re.MULTILINE)[1:]
    assert len(blocks) > 10
    commands = [re.findall(r"```sh\n(.+?)```", block, re.DOTALL) for block in blocks]
    for number, found in enumerate(commands):  # pictures in a row share one
        assert any(commands[number:][: len(blocks)]), blocks[number]
        assert found or not re.search(r"^## ", blocks[number], re.MULTILINE), blocks[number]


DOCSTRING = """One line.

More text.

Args:
    code: width of z. width: channels, e.g. 3. rate,
    decay: of the steps.
Raises:
    ValueError: if a. TypeError: if b
        goes on.
Exact: yes. Cost: one call.

Example:
    >>> 1 + 1
    2
"""


def test_a_docstring_becomes_lists_remarks_and_code():
    from docstrings import as_markdown

    lines = as_markdown(DOCSTRING).splitlines()
    assert [line for line in lines if line.startswith("- ")] == [
        "- `code`: width of z.", "- `width`: channels, e.g. 3.", "- `rate`, `decay`: of the steps.",
        "- `ValueError`: if a.", "- `TypeError`: if b goes on.",
    ]  # fmt: skip
    assert {"**Arguments**", "**Raises**", "**Exact.** yes. ", "**Cost.** one call."} <= set(lines)
    start = lines.index("```pycon")
    assert lines[start : start + 4] == ["```pycon", ">>> 1 + 1", "2", "```"]


def test_formulas_are_drawn_and_money_and_code_are_not():
    pytest.importorskip("latex2mathml", reason="the extra docs is not installed")
    from markdown import markdown

    told = markdown("Energy $E_a(x)$, `$code$`, 5$ and 6$.\n\n$$ \\sum_k E_k $$", extensions=["formulas"])
    assert told.count("<math") == 2 and 'display="block"' in told
    assert "$code$" in told and "5$ and 6$" in told and "E_a" not in told


def test_a_bar_in_the_code_of_a_table_has_no_backslash():
    from website import bars

    row = re.sub(r"^\|.*", bars, r"| `a \| b` | `c` | <d |")
    assert row == "| <code>a &#124; b</code> | `c` | <d |"


PAGE = """<link rel="stylesheet" href="style.css"><a href="https://elsewhere.org">a link</a>
<h3 id="ergosum.energy.Energy">Energy</h3><code>$x$</code>"""


@pytest.mark.parametrize(
    "added, fault",
    [
        ("", None),
        ('<script async src="https://cdn.org/a.js"></script>', "index.html: https://cdn.org/a.js is of another host"),
        ('<img alt="" src="//cdn.org/a.png">', "index.html: //cdn.org/a.png is of another host"),
        (
            '<link href="https://fonts.org/a.css" rel="stylesheet">',
            "index.html: https://fonts.org/a.css is of another host",
        ),
        ("<p>The energy $E(x)$ is low.</p>", "index.html: the formula $E(x)$ is not drawn"),
    ],
)
def test_a_site_that_fetches_or_leaves_out_is_refused(tmp_path, added, fault):
    from website import check

    (tmp_path / "index.html").write_text(PAGE + added)
    assert check(tmp_path, {"ergosum.energy": ["Energy"]}) == ([fault] if fault else [])


def test_a_site_without_a_name_or_with_a_font_from_elsewhere_is_refused(tmp_path):
    from website import check

    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / "style.css").write_text("@font-face { src: url('https://fonts.org/a.woff2') }")
    assert check(tmp_path, {"ergosum.energy": ["Energy", "as_energy"]}) == [
        "style.css: https://fonts.org/a.woff2 is of another host",
        "the reference has no ergosum.energy.as_energy",
    ]


def test_a_link_that_leads_nowhere_ends_the_build(tmp_path):
    pytest.importorskip("zensical", reason="the extra docs is not installed")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text("# Page\n\n[a link](nowhere.md)\n")
    (tmp_path / "mkdocs.yml").write_text("site_name: page\n")
    told = "import sys; from pathlib import Path; from website import build; build(Path(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", told, tmp_path], cwd=DOCS, capture_output=True, text=True)
    assert done.returncode != 0 and "nowhere.md" in re.sub("\x1b\\[[0-9;]*m", "", done.stderr)


@pytest.mark.slow
def test_the_site_is_built(tmp_path):
    pytest.importorskip("zensical", reason="the extra docs is not installed")
    command = [sys.executable, DOCS / "website.py", "--quick", "--out", tmp_path / "site"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    text = (tmp_path / "site/reference/samplers.html").read_text()
    assert 'id="ergosum.samplers.mala.Mala"' in text and "<math" in text
    assert "from_denoiser" in (tmp_path / "site/tutorials/own_denoiser.html").read_text()


def test_the_citation_names_this_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(cited) and cited["cff-version"] == "1.2.0"
    assert cited["version"] == ergosum.__version__ and cited["license"] == "MIT"
    assert f"version = {{{ergosum.__version__}}}" in (DOCS / "citing.md").read_text()
    assert f"ergosum-{ergosum.__version__}-py3-none-any.whl" in (DOCS / "index.md").read_text()
    assert (ROOT / "CHANGELOG.md").read_text().startswith(f"# Changelog\n\n## {ergosum.__version__}")
