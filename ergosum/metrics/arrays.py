"""What every metric takes: tensors of PyTorch or arrays of NumPy. They become tensors here, once.

Metrics compute on the device of the first tensor that they are given (the CPU if all are arrays), in float32 or better.
They return tensors or plain numbers, whatever they were given.
"""

import numpy as np
import torch
from torch import Tensor

__all__ = ["Values", "as_tensor", "image_pair", "tensors"]

Values = Tensor | np.ndarray
"""A tensor or an array; anything that `numpy.asarray` turns into numbers is taken as well."""

HALVES = (torch.float16, torch.bfloat16)


def as_tensor(values: Values, name: str = "as_tensor", argument: str = "values") -> Tensor:
    """The same numbers as a tensor, which shares memory where it can.

    A tensor comes back as it is, with its gradient and its device. Half precision is widened to float32, unsigned
    integers of more than 8 bits to int64.

    Args:
        name, argument: the metric and its argument that an error names.
    Raises:
        TypeError: unless the values are real numbers or Booleans.
    """
    if not isinstance(values, Tensor):
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            raise TypeError(
                f"{name}: `{argument}` must be a tensor or an array of real numbers or Booleans; got "
                f"{type(values).__name__} of {array.dtype}."
            )
        wide = {"f": np.promote_types(array.dtype, np.float32), "u": np.int64}.get(array.dtype.kind, array.dtype)
        wide = np.dtype(np.uint8 if array.dtype == np.uint8 else np.float64 if wide == np.longdouble else wide)
        # native byte order, no negative strides, and memory that PyTorch may write to
        array = np.require(array, wide.newbyteorder("="), ["C", "W"])
        return torch.from_numpy(array)
    if values.is_complex():
        raise TypeError(f"{name}: `{argument}` must be real; got {values.dtype}.")
    return values.float() if values.dtype in HALVES else values


def tensors(name: str, **values: Values) -> tuple[Tensor, ...]:
    """All arguments of a metric as finite tensors on the device of the first that is a tensor.

    Raises:
        TypeError: unless the values are real numbers or Booleans.
        ValueError: if a value is NaN or infinite.
    """
    device = next((v.device for v in values.values() if isinstance(v, Tensor)), torch.device("cpu"))
    made = {argument: as_tensor(v, name, argument).to(device) for argument, v in values.items()}
    for argument, tensor in made.items():
        # the extremes are NaN or infinite if any value is, and need no table of all
        if tensor.is_floating_point() and tensor.numel() and not torch.stack(tensor.aminmax()).isfinite().all():
            bad = tensor.numel() - int(tensor.isfinite().sum())
            raise ValueError(
                f"{name}: `{argument}` must be finite; {bad} of {tensor.numel()} values are NaN or infinite."
            )
    return tuple(made.values())


def image_pair(predicted: Values, true: Values, name: str, dims: int | None = None) -> tuple[Tensor, Tensor]:
    """Predicted and true images, or what is judged like images, of one shape with at least one value.

    Args:
        dims: how many dimensions they must have, if that matters.
    Raises:
        TypeError: unless both are floating point: differences of whole numbers of 8 bits would wrap around.
        ValueError: for unequal or empty shapes, or values that are not finite.
    """
    x, y = tensors(name, predicted=predicted, true=true)
    for argument, tensor in (("predicted", x), ("true", y)):
        if not tensor.is_floating_point():
            raise TypeError(
                f"{name}: `{argument}` must hold floating-point intensities; got {tensor.dtype}. Divide whole numbers "
                "of 8 bits by 255."
            )
    if x.shape != y.shape or not x.ndim or not x.numel() or dims not in (None, x.ndim):
        wanted = "at least one dimension" if dims is None else f"{dims} dimensions"
        raise ValueError(
            f"{name}: expected two equal shapes of {wanted} that are not empty, got {tuple(x.shape)} and "
            f"{tuple(y.shape)}."
        )
    return x, y
