"""Images for the page, as PNG within JSON."""

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

__all__ = ["as_url", "picture"]


def as_url(image: "Image.Image") -> str:
    """An image as an address that holds it."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def picture(frame: "Tensor") -> str:
    """A frame (3 or 1, height, width) in [0, 1], pixel by pixel."""
    from PIL import Image

    from ergosum.report.strips import pixels

    return as_url(Image.fromarray(pixels(frame[None])[0]))
