"""Files as Fashion-MNIST comes in: an archive of arrays, or a sprite."""

import io

import numpy as np
from PIL import Image


def archive(**arrays):
    """The bytes of an .npz file."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def sprite(images, mode="L"):
    """A PNG of cells, 30 to a row."""
    rows = [np.concatenate(list(images[i : i + 30]), 1) for i in range(0, len(images), 30)]
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(rows)).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()
