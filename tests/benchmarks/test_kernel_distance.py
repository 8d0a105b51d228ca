"""What kernel distances notice."""

import torch
from torch.nn import functional as F


def test_sets_are_changed_as_they_are_called(script):
    module = script("kernel_distance")
    true = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    made = true.clone()
    made[0] = 0  # one image misses everything, the others have noise of a hundredth
    made[1:] += 0.01 * torch.randn(made[1:].shape, generator=torch.Generator().manual_seed(2))
    sets = module.changed(true, made, 30.0, torch.Generator().manual_seed(1))
    assert len(sets["recomposed"]) == 6 and len(sets["recomposed, above 30 dB"]) == 5
    faint = next(images for name, images in sets.items() if name.endswith("as these"))
    assert 0.008 < (faint - true).std() < 0.012 < 0.04 < (sets["true, noise of 0.05"] - true).std() < 0.0555
    torch.testing.assert_close(
        3 * (sets["true, blurred by a tenth"] - true), sets["true, blurred by three tenths"] - true
    )
    torch.testing.assert_close(sets["true, blurred by a tenth"], true + 0.1 * (F.avg_pool2d(true, 3, 1, 1) - true))


def test_the_table_is_printed(script, capsys):
    module = script("kernel_distance")
    module.main(["tetrominoes", "--n", "8"])
    shown = capsys.readouterr().out
    assert "255 levels" in shown and "16 levels" in shown and "black" in shown and "n = 8" in shown
