"""Arrays that users hand over: taken as they are, or refused in one line with the call that mends them."""

import numpy as np
import pytest
import torch

from ergosum.data.images_given import as_images


def rand(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_images_in_range_pass_as_float32_and_gradients_flow():
    x = rand(2, 3, 8, 8).requires_grad_()
    y = as_images(x, 8)
    assert torch.equal(x, y)
    y.sum().backward()
    assert x.grad is not None and torch.equal(x.grad, torch.ones_like(x))
    for dtype in (torch.float64, torch.float16, torch.bfloat16):
        assert as_images(x.detach().to(dtype)).dtype == torch.float32
    assert torch.equal(as_images(x.detach().numpy()), x)
    assert torch.equal(as_images(x.detach().numpy()[::-1]), x.flip(0)), "views with negative strides too"


def test_bytes_are_divided_by_255():
    x = torch.arange(192, dtype=torch.uint8).view(1, 3, 8, 8)
    assert torch.equal(as_images(x), x.float() / 255) and torch.equal(as_images(x.numpy()), x.float() / 255)
    assert as_images(torch.zeros(1, 3, 8, 8, dtype=torch.uint8)).max() == 0


def test_rounding_beyond_the_range_is_cut():
    y = as_images(torch.tensor([-0.0005, 1.0005]).repeat(96).view(1, 3, 8, 8))
    assert y.min() == 0 and y.max() == 1


x = rand(2, 3, 8, 8)
WRONG = {
    "one image": (x[0], r"got the shape \(3, 8, 8\): add the batch: x\[None\]\."),
    "one grey image": (x[0, 0], "give one batch of images"),
    "channels last": (x.permute(0, 2, 3, 1), r"\(2, 8, 8, 3\): put the channels second: .*permute\(0, 3, 1, 2\)"),
    "grey": (x[:, :1], r"x\.expand\(-1, 3, -1, -1\)"), "transparent": (torch.cat([x, x], 1)[:, :4], r"x\[:, :3\]"),
    "five channels": (torch.cat([x, x], 1)[:, :5], "three channels"), "none": (x[:0], "the batch is empty"),
    "oblong": (x[..., :6], "crop them to a square"), "five sizes": (x[None], "give one batch"),
    "-1 to 1": (2 * x - 1, r"values from -0\.99.* to 0\.99.*: if they run from -1 to 1: \(x \+ 1\) / 2"),
    "0 to 255": (255 * x, r"if they run from 0 to 255: x / 255"), "normalised": (4 * x - 2, r"x \* std \+ mean"),
    "0 to 65535": (65535 * x, r"scale them to 0 \.\. 1"), "NaN": (x.log().sqrt(), "384 values of NaN or infinity"),
    "infinity": (x / 0, "384 values of NaN"), "whole numbers": ((255 * x).long(), r"numbers of type int64: .*uint8"),
    "booleans": (x > 0.5, r"numbers of type bool: x\.float\(\)"),
    "bytes of 0 and 1": ((x > 0.5).byte(), "bytes 0 and 1 alone, which would be almost black"),
    "objects": (np.array([[["a"]]]), "numbers of type <U1: convert to float32"),
}  # fmt: skip


@pytest.mark.parametrize("images, message", WRONG.values(), ids=WRONG)
def test_anything_else_is_refused_in_one_line(images, message):
    with pytest.raises(ValueError, match=message) as caught:
        as_images(images)
    said = str(caught.value)
    assert said.startswith("images: expected (batch, 3, side, side), floats in 0 .. 1 or bytes 0 .. 255; got ")
    assert said.endswith(".") and "\n" not in said


def test_another_side_and_another_type_are_refused():
    with pytest.raises(ValueError, match=r"\(batch, 3, 64, 64\).*got the shape \(2, 3, 8, 8\): resize them"):
        as_images(x, 64)
    for wrong in ([x[0], x[1]], "image.png", None):
        with pytest.raises(TypeError, match=f"got {type(wrong).__name__}: "):
            as_images(wrong)
