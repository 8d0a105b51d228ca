"""The table of global factors is made of scores on disk."""

import itertools
import sys
from pathlib import Path

import pytest

from ergosum.files import write_json
from ergosum.nets import RecurrentEncoder
from ergosum.part import Part

DOCS = Path(__file__).parents[2] / "docs"
ROW = {"beta_vae": 0.8, "factor_vae": 0.5, "mig": 0.1, "mcc": 0.6, "sap": 0.05,
       "dci": {"disentanglement": 0.2, "completeness": 0.3, "informativeness": 0.4}}  # fmt: skip


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    import decomposition_tables

    yield decomposition_tables
    for name in ("decomposition_tables", "tables"):
        sys.modules.pop(name)


@pytest.fixture
def comet(tables):
    import comet_tables

    yield comet_tables
    sys.modules.pop("comet_tables")


def write_run(folder, seed, **scores):
    names = ("random encoder", "oracle", "permuted", "rotated", "noise")
    rows = [{"row": "BetaVae", **ROW}, *({"row": n, **ROW, "codes": 7} for n in names)]
    told = {**ROW, "seed": seed, "codes": 64, "mse": 0.01, "psnr": 20.0, "mse_mean": 0.02, "psnr_mean": 17.0,
            "factor_rows": rows, **scores}  # fmt: skip
    write_json(folder / "scores.json", told)
    write_json(folder / "run.json", {"cpu_seconds": 240.0})


def test_the_page_is_begun_and_its_tables_are_replaced(tables, tmp_path):
    page = tmp_path / "decompose.md"
    tables.write(tmp_path / "runs", page, 3)
    assert "No run has been scored yet." in page.read_text() and "| row |" not in page.read_text()
    for seed, mcc in enumerate((0.5, 0.7)):
        write_run(tmp_path / "runs" / f"still-vae-b4-d64-seed{seed}", seed, mcc=mcc)
    write_run(tmp_path / "runs" / "shapes-monet-seed0", 0, codes=80, mig_pca=0.25, dci_pca=ROW["dci"])
    write_json(tmp_path / "runs" / "still-monet-seed0" / "run.json", {"died": "gave back its input"})
    page.write_text(page.read_text() + "\nProse below.\n")
    tables.write(tmp_path / "runs", page, 3)
    text = page.read_text()
    assert text.endswith("Prose below.\n") and text.count("<!-- table 1 -->") == 1
    (vae,) = [line for line in text.splitlines() if line.startswith("| beta-VAE, beta = 4, D = 64, Gaussian")]
    assert "| 64 | 2 |" in vae and "0.600 ± 0.141" in vae and "240 ± 0" in vae and "83.6, 10.9, 66.1" in vae
    (components,) = [line for line in text.splitlines() if line.startswith("| their 64 principal components")]
    assert "| 64 | 1 |" in components and "0.250" in components
    for row in ("| oracle |", "| noise |", "| mean image |", "random weights", "| COMET, as published |"):
        assert row in text
    assert "MONet, K = 4" in text.partition("`shapes`")[2] and "| MONet, K = 4" not in text.partition("`shapes`")[0]


def test_every_row_is_a_recipe_and_every_published_number_has_a_row(tables):
    assert len(tables.names()) == len(set(tables.names())) >= 22
    assert set(tables.PUBLISHED) - {"COMET"} <= set(tables.ROWS)
    assert tables.finished(Path("nowhere")) is False


def comet_run(folder, **scores):
    told = {"fg_ari": 0.5, "ari": 0.4, "covering": 0.3, "mse": 0.05, "psnr": 13.0, "mse_mean": 0.09, **scores}
    rows = [{"row": "ours", **told}, {"row": "one segment", "fg_ari": 0.0, "ari": 0.0, "covering": 0.1}]
    write_json(folder / "scores.json", told | {"rows": rows})
    write_json(folder / "run.json", {"cpu_seconds": 360.0})


def test_comet_s_biases_stand_beside_what_needs_no_model(comet, tmp_path):
    assert comet.biases(tmp_path, "tetrominoes", 3) == []
    for seed, fg_ari in enumerate((0.4, 0.6)):
        comet_run(tmp_path / f"comet-tetrominoes-small-seed{seed}", fg_ari=fg_ari)
    lines = comet.biases(tmp_path, "tetrominoes", 3)
    assert "| + 16 numbers each | 2 | 0.500 ± 0.141 | 0.400 ± 0.000" in lines[4] and lines[4].endswith("| 0.641 |")
    assert lines[5].startswith("| one segment | – | 0.000") and lines[6].startswith(
        "| mean image | – | – | – | – | 0.0900"
    )


def test_comet_s_losses_are_compared_seed_by_seed(comet, tmp_path):
    """On seeds 0 and 2, which both have, every step is better by 0.1 and by 0.3; its errors are smaller."""
    code, paper = comet.LOSSES.values()
    for seed, (ari, error) in {0: (0.2, 0.05), 1: (0.9, 0.05), 2: (0.2, 0.05)}.items():
        comet_run(tmp_path / f"{code}-seed{seed}", fg_ari=ari, mse=error)
    for seed, (ari, error) in {0: (0.3, 0.04), 2: (0.5, 0.03)}.items():
        comet_run(tmp_path / f"{paper}-seed{seed}", fg_ari=ari, mse=error)
    *rows, _, said = comet.losses(tmp_path)
    assert "| 3 | 0.433 ± 0.404 |" in rows[2] and "| 2 | 0.400 ± 0.141 |" in rows[3]
    assert "foreground ARI +0.200 ± 0.141 (better in 2 of 2)" in said
    assert "MSE -0.0150 ± 0.0071 (better in 2 of 2)" in said and "(better in 0 of 2)" in said


def test_shadows_are_those_of_the_cards(tables, tmp_path):
    page = tmp_path / "decompose.md"
    page.write_text("<!-- shadows -->\n<!-- /shadows -->\n")
    tables.write_shadows(page)
    lines = page.read_text().splitlines()
    assert any(line.startswith("| `scenes-objects` | ours, shadows told apart |") for line in lines)
    assert "\n".join(lines[1:-1]) in (DOCS / "decompose.md").read_text()


def test_objects_are_those_of_the_cards_where_there_are_no_runs(tables, tmp_path):
    page = tmp_path / "decompose.md"
    page.write_text("<!-- objects -->\n<!-- /objects -->\n")
    tables.write_objects(tmp_path, page, 3)
    lines = page.read_text().splitlines()
    assert sum("| ours | 1 |" in line for line in lines) == len(tables.OBJECTS)
    assert "\n".join(lines[1:-1]) in (DOCS / "decompose.md").read_text()


def test_every_bias_has_its_name_and_published_number(comet):
    from ergosum.decomposition.recipes import BIASES

    assert set(comet.SAYS) == set(comet.PUBLISHED) == set(BIASES)


def test_every_bias_changes_one_setting_of_the_one_before():
    from ergosum.decomposition.recipes import BIASES

    steps = list(BIASES.values())
    changes = [{k: now[k] for k in now if now[k] != before[k]} for before, now in itertools.pairwise(steps)]
    assert changes == [{"encoder": Part(RecurrentEncoder)}, {"latent": 16}, {"position": True}]


def test_counts_of_composites_stand_beside_those_of_random_weights_and_are_those_of_the_cards(tables, tmp_path):
    page = tmp_path / "decompose.md"
    page.write_text("<!-- composites -->\n<!-- /composites -->\n")
    tables.write_composites(page)
    lines = page.read_text().splitlines()
    assert "| `tetrominoes` | ours | 200 | 6 | 1.000 | 0.785 |" in lines
    assert "| `tetrominoes` | random weights, seed 2 | 200 | 6 | 0.965 | 0.000 |" in lines and len(lines) == 4 + 20
    text = (DOCS / "decompose.md").read_text()
    assert "\n".join(lines[1:-1]) in text


BLOCK = (
    "Prose.\n<!-- objects -->\n| row | seeds | ARI |\n|---|---|---|\n| a | 3 | 0.9 |\n| b | – | 0.1 |\n"
    "<!-- /objects -->\n"
)


@pytest.mark.parametrize(
    ("rows", "lost"),
    [
        ([], "from 2 to 0 rows"),
        (["| a | 3 | 0.8 |"], "from 2 to 1 rows"),
        (["| a | 1 | 0.8 |", "| b | – | 0.1 |"], "from 3 to 1 seeds"),
        (["| a | 3 | 0.8 |", "| b | – | 0.1 |"], ""),
        (["| a | 4 | 0.8 |", "| b | – | 0.1 |", "| c | 1 | 0.2 |"], ""),
    ],
)
def test_a_table_never_loses_rows_for_want_of_runs(tables, tmp_path, rows, lost):
    from tables import replace_block

    page = tmp_path / "page.md"
    page.write_text(BLOCK)
    lines = ["| row | seeds | ARI |", "|---|---|---|", *rows]
    if lost:
        with pytest.raises(SystemExit, match=f"table 'objects' would go {lost}: .* The page is as it was"):
            replace_block(page, "objects", lines)
        assert page.read_text() == BLOCK
        return
    replace_block(page, "objects", lines)
    assert page.read_text() == "\n".join(["Prose.", "<!-- objects -->", *lines, "<!-- /objects -->", ""])


def test_without_its_runs_no_page_is_emptied(comet, tables, tmp_path, monkeypatch):
    page = tmp_path / "decompose.md"
    before = (DOCS / "decompose.md").read_text()
    page.write_text(before)
    none = tmp_path / "runs"
    with pytest.raises(SystemExit, match="table 'table 1' would go"):
        tables.write(none, page, 3)
    for name, lines in (("comet biases", comet.biases(none, "tetrominoes", 3)), ("comet losses", comet.losses(none))):
        with pytest.raises(SystemExit, match=f"table '{name}' would go"):
            comet.replace_block(page, name, lines)
    assert page.read_text() == before
    with pytest.raises(SystemExit, match="has no place for this table"):
        comet.replace_block(page, "unheard of", [])


def test_the_tables_of_changes_are_not_begun_without_runs(tables, tmp_path, monkeypatch):
    import tables as changes

    monkeypatch.setattr(sys, "argv", ["tables.py"])
    monkeypatch.setattr(changes, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(changes, "DOCS", tmp_path)
    with pytest.raises(SystemExit, match="has no finished runs colour, angle, scale"):
        changes.main()
    page = tmp_path / "results.md"
    page.write_text(BLOCK)
    with pytest.raises(SystemExit, match=r"results\.md would go from 2 to 0 rows"):
        changes.put(page, "# Results\n")
    assert page.read_text() == BLOCK and not (tmp_path / "results.json").exists()
