"""The pages do what they show, their commands can be given, and their links and images exist."""

import contextlib
import doctest
import re
import shlex
from pathlib import Path

import pytest

from ergosum.cli import COMMANDS, main

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


SESSIONS = [page for page in PAGES if any(">>>" in b for b in blocks(page, "python"))]
SCRIPTS = [page for page in PAGES if any(">>>" not in b for b in blocks(page, "python"))]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """What a page writes is written to a folder of its own."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", SESSIONS, ids=lambda p: p.stem)
def test_the_examples_of_a_page_run(page):
    text = "\n".join(block for block in blocks(page, "python") if ">>>" in block)
    test = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    said = []
    done = doctest.DocTestRunner(optionflags=doctest.IGNORE_EXCEPTION_DETAIL).run(test, out=said.append)
    assert done.attempted > 0 and done.failed == 0, "".join(said)


@pytest.mark.parametrize("page", SCRIPTS, ids=lambda p: p.stem)
def test_the_scripts_of_a_page_run_one_after_the_other(page, capsys):
    names = {"__name__": "page"}
    for block in blocks(page, "python"):
        if ">>>" not in block:
            exec(compile(block, str(page), "exec"), names)


def commands():
    """Every `ergosum ...` that a page shows, as words, in a block or within a sentence."""
    for page in PAGES:
        lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
        lines += re.findall(r"`(ergosum [^`\n]+)`", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL))
        for line in lines:
            words = shlex.split(line.partition("ergosum ")[2], comments=True) if "ergosum " in line else []
            if words and re.fullmatch(r"[a-z]+", words[0]) and "pip" not in line:
                yield pytest.param(words, id=f"{page.stem}: {' '.join(words)}")


@pytest.mark.parametrize("words", list(commands()))
def test_a_command_that_a_page_shows_can_be_given(words, capsys):
    name, *rest = words
    assert name in COMMANDS
    if name == "train" and rest and not {"NAME", "RECIPE", "--trust", "--help"} & set(rest) and ".yaml" not in rest[0]:
        assert main(["train", *(w for w in rest if w != "--resume"), "--print_config"]) == 0, capsys.readouterr().err
        return
    with contextlib.suppress(SystemExit):
        main([name, "--help"])
    told = capsys.readouterr().out
    for option in (w for w in rest if w.startswith("--") and name != "train"):
        assert option.partition("=")[0] in told, f"ergosum {name} has no {option}"


def test_the_glossary_explains_the_columns_of_the_results():
    heads = next(line for line in (ROOT / "docs/results.md").read_text().splitlines() if line.startswith("| row |"))
    bold = {term.lower() for term in re.findall(r"\*\*(.+?)\*\*", (ROOT / "docs/glossary.md").read_text())}
    columns = {re.sub(r" \[dB\]| at( frame)? 12", "", head.strip()).lower() for head in heads.split("|")[3:-1]}
    assert columns <= bold


@every_page
def test_links_and_images_of_a_page_exist(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
