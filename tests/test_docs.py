"""The pages do what they show, and their links and images exist."""

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
SHOWN = [page for page in PAGES if ">>>" in page.read_text()]


@pytest.mark.parametrize("page", SHOWN, ids=lambda p: p.stem)
def test_the_examples_of_a_page_run(page):
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    text = "\n".join(block for block in blocks if ">>>" in block)
    test = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    said = []
    done = doctest.DocTestRunner(optionflags=doctest.IGNORE_EXCEPTION_DETAIL).run(test, out=said.append)
    assert done.attempted > 0 and done.failed == 0, "".join(said)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_links_and_images_of_a_page_exist(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
