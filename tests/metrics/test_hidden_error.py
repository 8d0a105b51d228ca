"""Error on hidden pixels."""

import pytest
import torch

from ergosum.metrics import hidden_error

TRUE = torch.zeros(2, 3, 4, 4)


def test_known_pixels_do_not_count_and_channels_share_their_mask():
    known = torch.ones(2, 1, 4, 4, dtype=torch.bool)
    known[0, :, :2], known[1, :, 0, 0] = False, False
    made = torch.where(known, 5.0, torch.tensor([0.5, 0.25]).view(2, 1, 1, 1)).expand(TRUE.shape)
    assert hidden_error(made, TRUE, known).tolist() == [0.5, 0.25]
    assert hidden_error(made.numpy(), TRUE.numpy(), known.numpy()).tolist() == [0.5, 0.25]


def test_a_mask_that_hides_nothing_or_does_not_fit_is_refused():
    known = torch.ones(2, 1, 4, 4, dtype=torch.bool)
    known[0, :, 0] = False
    with pytest.raises(ValueError, match="nothing is hidden in sample 1"):
        hidden_error(TRUE, TRUE, known)
    with pytest.raises(ValueError, match="expected a mask of the images' shape"):
        hidden_error(TRUE, TRUE, known[..., :3])
