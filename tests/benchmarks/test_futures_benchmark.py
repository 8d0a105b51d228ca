"""The futures benchmark: what it prints, and that its ghost is not told the change."""

import json

import pytest
import torch


@pytest.fixture
def bench(script):
    return script("futures")


def test_pairs_change_by_one_of_the_alternatives(bench):
    data = bench.Undecided("colour & (angle | 3:angle_back)", "digits")
    pairs = data.pairs(200, torch.Generator().manual_seed(0))
    assert (pairs.moves[:, 0] == 1).all() and (pairs.moves[:, 1].abs() == 1).all() and (pairs.moves[:, 2] == 0).all()
    assert (pairs.moves[:, 1] == -1).float().mean() == pytest.approx(0.75, abs=0.13)
    torch.testing.assert_close(pairs.after - pairs.before, bench.SPACING * pairs.moves, atol=1e-4, rtol=0)


def test_the_ghost_gives_one_frame_whatever_the_move(bench):
    net = bench.Untold(("any",), width=4)
    start = torch.rand(2, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    torch.nn.init.normal_(net.body.head.weight, generator=torch.Generator().manual_seed(1))
    frames = [net.predict(start, moves=torch.tensor([[m, 0.0, 0.0]] * 2)) for m in (-1.0, 1.0)]
    assert torch.equal(*frames) and not torch.equal(frames[0], start)


@pytest.mark.slow
def test_json_tells_shares_and_ghost(bench, capsys, tmp_path):
    asked = ["--updates", "3", "--n", "20", "--digits", "4", "--seeds", "5", "--source", "digits"]
    bench.main([*asked, "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "futures.json"),
                "--picture", str(tmp_path / "futures.png")])  # fmt: skip
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads((tmp_path / "futures.json").read_text()) and (tmp_path / "futures.png").is_file()
    assert len(result["shares"]) == 5 * len(bench.CASES) and all(sum(r["counts"]) == 20 for r in result["shares"])
    assert 0 in result["local"]["counts"] and len(result["ghost"]) == 4 * len(bench.GHOSTS)
    assert result["conjunction"]["in turn"] > result["conjunction"]["sum at one anchor"] + 5
