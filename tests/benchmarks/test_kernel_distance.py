"""What kernel distances notice."""

import torch


def test_sets_are_changed_as_they_are_called(script):
    module = script("kernel_distance")
    true = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    made, background = true.clone(), torch.zeros(6, 1, 8, 8, dtype=torch.bool)
    background[..., :4] = True
    made[0] = 0  # one image misses everything, the others are off by a hundredth
    made[1:] = (made[1:] + 0.01).clamp(0, 1)
    sets = module.changed(true, made, background, 30.0, torch.Generator().manual_seed(1))
    assert len(sets["recomposed"]) == 6 and len(sets["recomposed, above 30 dB"]) == 5
    assert (sets["true, 8 levels"] * 8 % 1 == 0).all()
    whole = sets["recomposed on the true background"]
    assert torch.equal(whole[..., :4], true[..., :4]) and torch.equal(whole[..., 4:], made[..., 4:])
    other = sets["true objects on the recomposed one"]
    assert torch.equal(other[..., :4], made[..., :4]) and torch.equal(other[..., 4:], true[..., 4:])


def test_the_table_is_printed(script, capsys):
    module = script("kernel_distance")
    module.main(["tetrominoes", "--n", "8"])
    shown = capsys.readouterr().out
    assert "recomposed, 8 levels" in shown and "black" in shown and "n = 8" in shown
