"""The comparison of concepts learned one after another, end to end on tiny runs."""

import json

import pytest
import torch
from torch import Generator

from ergosum.concepts import task as concepts_task
from ergosum.data import ConceptScenes, PartlyTold
from ergosum.part import Part


@pytest.mark.slow
def test_every_row_is_there_and_what_grew_has_not_changed(script, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(concepts_task, "FITTED", 64)
    monkeypatch.setattr("ergosum.density.sampling.LEVELS", 4)
    made, out = script("continual"), tmp_path / "table"
    made.main(["--runs", str(tmp_path), "--n", "6", "--updates", "5", "5", "5", "--count", "24", "--out", str(out)])
    told = json.loads((tmp_path / "table.json").read_text())
    after = {row: [r for r in told["rows"] if r["row"] == row] for row in made.ROWS}
    assert [len(rows) for rows in after.values()] == [3, 3, 1] and (tmp_path / "table.png").is_file()
    grown, tuned = after["grown"][-1], after["fine-tuned"][-1]
    assert grown["place changed"] == grown["shape changed"] == 0 and tuned["place changed"] > 0
    assert all(0 <= r[name] <= 1 for rows in after.values() for r in rows for name in made.ATTRIBUTES if name in r)
    assert "true images" in capsys.readouterr().out and len(told["read"]) == 2


def test_a_union_draws_from_every_set_and_keeps_what_each_tells(script):
    made = script("continual")
    sets = [
        Part(PartlyTold, data=Part(ConceptScenes, count=8), told=(name,), among=made.ATTRIBUTES)
        for name in made.ATTRIBUTES
    ]
    values = made.Union(tuple(sets)).attributed(300, Generator().manual_seed(0)).values
    told = torch.stack([~values[:, column].isnan() for column in (0, 2, 3)], 1)
    assert (told.sum(1) == 1).all() and torch.equal(told[:, 0], ~values[:, 1].isnan())
    assert (told.float().mean(0) - 1 / 3).abs().max() < 4 * (2 / 9 / 300) ** 0.5


def test_questions_tell_one_attribute_more_each(script):
    made, values = script("continual"), torch.rand(2, 4)
    asked = made.questions(values, PartlyTold(Part(ConceptScenes, count=2), told=made.ATTRIBUTES).attributes)
    assert [int(told.isnan().sum(1)[0]) for told in asked.values()] == [2, 1, 0]
    assert torch.equal(asked["colour"], values)
