"""Tutorials run from the first cell to the last."""

import json
from pathlib import Path

import pytest

TUTORIALS = sorted((Path(__file__).parents[1] / "docs" / "tutorials").glob("*.ipynb"))


@pytest.mark.filterwarnings("ignore:.*not known:UserWarning")
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda p: p.stem)
def test_a_tutorial_runs_from_the_first_cell_to_the_last(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cells = json.loads(path.read_text())["cells"]
    session: dict = {"__name__": "tutorial"}
    for number, cell in enumerate(c for c in cells if c["cell_type"] == "code"):
        assert not cell["outputs"], "outputs are made by running, not kept"
        exec(compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec"), session)
    assert capsys.readouterr().out
