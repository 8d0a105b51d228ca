"""Fills that learn nothing, against closed forms."""

import pytest
import torch

from ergosum.data.fills import harmonic, linear_in_time, mean_fill, mean_image_fill, nearest_frame
from ergosum.data.masks import FrameMask, SaltAndPepper

FILLS = [mean_fill, mean_image_fill, harmonic, nearest_frame, linear_in_time]


def ramp(*shape):
    """Images that rise by the same from pixel to pixel."""
    rows, columns = torch.arange(shape[-2]).double()[:, None], torch.arange(shape[-1]).double()
    return (0.1 + 0.02 * rows + 0.03 * columns).expand(shape).clone()


@pytest.mark.parametrize("fill", FILLS)
def test_known_pixels_stay_and_hidden_values_do_not_matter(fill, rng):
    clips = torch.rand(3, 4, 2, 6, 6, generator=rng)
    known = SaltAndPepper(0.5).known(clips.shape, rng)
    made = fill(clips, known)
    assert made.shape == clips.shape and made.dtype == clips.dtype
    mask = known.expand(clips.shape)
    assert (made[mask] == clips[mask]).all()
    other = torch.where(mask, clips, torch.nan)
    assert torch.equal(fill(other, known), made)


def test_harmonic_is_exact_on_a_linear_ramp_inside_its_border(rng):
    images = ramp(2, 3, 9, 10)
    known = SaltAndPepper(0.8).known(images.shape, rng)
    known[..., (0, -1), :], known[..., (0, -1)] = True, True
    assert (harmonic(images, known) - images).abs().max() < 1e-12


def test_every_hidden_pixel_is_the_mean_of_its_neighbours(rng):
    images = torch.rand(2, 1, 7, 8, dtype=torch.float64, generator=rng)
    known = SaltAndPepper(0.7).known(images.shape, rng)
    made = harmonic(images, known)
    total, count = torch.zeros_like(made), torch.zeros_like(made)
    for dim in (2, 3):
        for shift in (1, -1):
            moved, inside = made.roll(shift, dim), torch.ones_like(made)
            inside.select(dim, 0 if shift == 1 else -1).zero_()
            total += moved * inside
            count += inside
    assert (made - total / count)[~known].abs().max() < 1e-12


def test_harmonic_in_time_joins_frames(rng):
    clip = torch.rand(2, 1, 5, 5, dtype=torch.float64, generator=rng).repeat(1, 3, 1, 1)
    clip[:, 2] += 0.4
    known = torch.ones_like(clip, dtype=torch.bool)
    known[:, 1] = False
    made = harmonic(clip, known, dims=3)
    assert made[:, 1].mean(dim=(1, 2)) == pytest.approx(clip[:, (0, 2)].mean(dim=(1, 2, 3)), abs=1e-9)
    with pytest.raises(ValueError, match="a whole frame or channel is hidden"):
        harmonic(clip, known)


def test_the_mean_of_an_image_and_the_mean_image(rng):
    images = torch.rand(4, 2, 3, 3, generator=rng)
    known = torch.ones(4, 1, 3, 3, dtype=torch.bool)
    known[0, :, 1, 1] = False
    assert mean_fill(images, known)[0, 1, 1, 1] == pytest.approx((images[0, 1].sum() - images[0, 1, 1, 1]) / 8)
    assert mean_image_fill(images, known)[0, 1, 1, 1] == pytest.approx(images[1:, 1, 1, 1].mean())
    known[:, :, 1, 1] = False
    everything = images[known.expand(images.shape)].mean()
    assert mean_image_fill(images, known)[2, 1, 1, 1] == pytest.approx(everything)


def test_a_steady_change_is_linear_in_time():
    clips = ramp(2, 6, 1, 3, 3) + 0.1 * torch.arange(6).double().view(-1, 1, 1, 1)
    known = FrameMask((1, 2, 4)).known(clips.shape)
    assert (linear_in_time(clips, known) - clips).abs().max() < 1e-12
    nearest = nearest_frame(clips, known)
    for hidden, source in ((1, 0), (2, 3), (4, 3)):  # 4 lies between 3 and 5: the earlier one
        assert torch.equal(nearest[:, hidden], clips[:, source])


@pytest.mark.parametrize("fill", [nearest_frame, linear_in_time])
def test_ends_take_the_nearest_frame_and_what_no_frame_knows_is_harmonic(fill):
    clips = ramp(1, 4, 1, 5, 5)
    known = FrameMask((0, 3)).known(clips.shape)
    known[..., 2, 2] = False
    made = fill(clips, known)
    assert (made - clips).abs().max() < 1e-12
    clips[:, :, :, 2, 2] = torch.nan
    assert made[0, 0, 0, 2, 2] == fill(clips, known)[0, 0, 0, 2, 2]


def test_a_channel_of_which_nothing_is_known_takes_the_examples_mean():
    clips = ramp(1, 3, 4, 4)
    known = torch.ones_like(clips, dtype=torch.bool)
    known[:, 1] = False
    assert (mean_fill(clips, known)[:, 1] - clips[:, 0].mean()).abs().max() < 1e-12


def test_what_cannot_be_filled_is_refused():
    images = ramp(1, 1, 4, 4)
    known = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    known[..., 0] = False
    with pytest.raises(ValueError, match="expected clips"):
        linear_in_time(images, known)
    with pytest.raises(ValueError, match="dims 2"):
        harmonic(images, known, dims=4)
