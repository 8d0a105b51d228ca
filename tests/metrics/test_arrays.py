"""Arrays of every kind become tensors with the same numbers."""

import numpy as np
import pytest
import torch

from ergosum.metrics.arrays import Values, as_tensor, image_pair, tensors

NUMBERS = np.arange(12).reshape(3, 4)


@pytest.mark.parametrize(
    "array",
    [NUMBERS[::-1, ::2], NUMBERS.T, NUMBERS.astype(">f8"), NUMBERS.astype("<i2"), NUMBERS.astype(np.uint16),
     NUMBERS.astype(np.float16), NUMBERS.astype(np.longdouble), NUMBERS > 4, NUMBERS.tolist(), NUMBERS[1, 2]],
    ids=["reversed", "turned", "big-endian", "short", "unsigned", "half", "long double", "Boolean", "list", "number"],
)  # fmt: skip
def test_an_array_keeps_its_numbers_and_its_shape(array):
    made = as_tensor(array)
    assert (
        isinstance(made, Values) and np.array_equal(made.numpy(), np.asarray(array)) and made.shape == np.shape(array)
    )


def test_an_array_that_may_not_be_written_to_is_copied_without_a_warning(recwarn):
    array = NUMBERS.astype(float)
    array.setflags(write=False)
    as_tensor(array).fill_(7)
    assert not recwarn and array.max() == 11


def test_half_precision_is_widened_and_a_tensor_keeps_its_gradient():
    assert as_tensor(np.float16([1])).dtype == as_tensor(torch.ones(1, dtype=torch.bfloat16)).dtype == torch.float32
    x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    assert as_tensor(x) is x


@pytest.mark.parametrize("values", [np.array(["a"]), np.array([None]), np.ones(2) * 1j, torch.ones(2) * 1j])
def test_what_is_not_real_is_refused_by_name(values):
    with pytest.raises(TypeError, match="mig: `latents` must be"):
        as_tensor(values, "mig", "latents")


def test_values_that_are_not_finite_are_counted():
    with pytest.raises(ValueError, match="mig: `factors` must be finite; 2 of 12 values are NaN or infinite"):
        tensors("mig", latents=NUMBERS, factors=np.where(NUMBERS < 2, np.nan, NUMBERS))


def test_arrays_follow_the_first_tensor_to_its_device():
    x, y = tensors("name", a=NUMBERS, b=torch.ones(2, device="cpu"))
    assert x.device == y.device == torch.device("cpu")
    with pytest.raises((NotImplementedError, RuntimeError, ValueError)):
        tensors("name", a=NUMBERS, b=torch.ones(2, device="meta"))  # reached the other device, where nothing is known


def test_images_are_floating_point_of_one_shape():
    assert image_pair(NUMBERS / 11, NUMBERS / 11, "mse")[0].dtype == torch.float64
    with pytest.raises(TypeError, match=r"mse: `true` must hold floating-point intensities; got torch.uint8.*255"):
        image_pair(NUMBERS / 11, NUMBERS.astype(np.uint8), "mse")
    for wrong in (NUMBERS[:2] / 11, np.zeros((3, 0))):
        with pytest.raises(ValueError, match="mse: expected two equal shapes"):
            image_pair(wrong, NUMBERS / 11, "mse")
    with pytest.raises(ValueError, match=r"of 4 dimensions that are not empty, got \(3, 4\)"):
        image_pair(NUMBERS / 11, NUMBERS / 11, "ssim", 4)
