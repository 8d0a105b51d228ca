"""Strips: a sequence as a row of frames, the input in a red box, as in the figures of the founding report."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional

__all__ = ["BACKGROUND", "BOX", "NOT_FINITE", "captioned", "compare", "fitting", "pixels", "resized", "sheet", "strip"]

BACKGROUND = (56, 59, 66)
"""Grey between frames, dark, yet lighter than the black canvas of a digit."""
BOX = (235, 64, 60)
"""Red of the border around an input."""
NOT_FINITE = (255, 0, 255)
"""Magenta of pixels that are no finite number, so that they are not taken for dark ones."""
LINES = 3
"""Of a caption, at most."""
WIDEST = 144
"""Pixels of a frame's side on a sheet, unless its own are more."""
_INK = (236, 237, 240)
_GOOD = (64, 190, 110)
_FAINT = (178, 182, 190)


def pixels(frames: Tensor, zoom: int = 1) -> np.ndarray:
    """Frames as enlarged 8-bit pixels; values outside [0, 1] are clipped, non-finite ones become magenta.

    Args:
        zoom: whole factor of enlargement, >= 1.
    Shape:
        frames: (time, 3 or 1, height, width) in [0, 1]. Returns uint8 (time, height * zoom, width * zoom, 3).
    Raises:
        ValueError: if the shape is another, there is no frame, or `zoom < 1`.
    """
    if frames.ndim != 4 or frames.shape[1] not in (1, 3) or len(frames) == 0:
        raise ValueError(f"Expected frames (time >= 1, 3, height, width), got shape {tuple(frames.shape)}.")
    if zoom < 1:
        raise ValueError(f"zoom: expected a whole number >= 1, got {zoom!r}.")
    values = frames.detach().float().cpu()
    broken = ~values.isfinite().all(1)
    eight_bit = (values.nan_to_num(0.0).clamp(0, 1) * 255).round().byte()
    result = eight_bit.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).contiguous().numpy()
    result[broken.numpy()] = NOT_FINITE
    return result.repeat(zoom, 1).repeat(zoom, 2)


def resized(frames: Tensor, side: int) -> Tensor:
    """Frames at another side (bicubic), such as that of the image they started from; at their own side as they are.

    Shape:
        frames: (time, 3, height, height) in [0, 1]. Returns (time, 3, side, side) in [0, 1].
    """
    if frames.shape[-1] == side:
        return frames
    return functional.interpolate(frames, (side, side), mode="bicubic", antialias=True).clamp(0, 1)


def fitting(side: int, zoom: int | None = None) -> int:
    """Screen pixels per frame pixel: as told, or three, or so many that a frame of this side has at most 144."""
    return max(1, min(3, WIDEST // max(1, side))) if zoom is None else zoom


def strip(frames: Tensor, zoom: int | None = None, boxed: Sequence[int] = (0,), gap: int = 1) -> Image.Image:
    """One row of frames from left to right.

    Args:
        zoom: screen pixels per frame pixel; None for `fitting`. boxed: frames with a red border, usually the input;
            indices past the end are passed over, negative ones count from the end. gap: frame pixels between frames and
            around the row, >= 1.
    Shape:
        frames: (time, 3, height, width) in [0, 1].
    Raises:
        ValueError: if the shape is another, there is no frame, or `zoom` or `gap` is below 1.
    """
    if gap < 1:
        raise ValueError(f"gap: expected a whole number >= 1, where the box is drawn, got {gap!r}.")
    zoom = fitting(frames.shape[-1], zoom)
    tiles = pixels(frames, zoom)
    count, height, width, _ = tiles.shape
    space = gap * zoom
    canvas = np.empty((height + 2 * space, count * (width + space) + space, 3), np.uint8)
    canvas[:] = BACKGROUND
    inputs = {b + count if b < 0 else b for b in boxed}
    for index, tile in enumerate(tiles):
        left = space + index * (width + space)
        if index in inputs:
            canvas[:, left - space : left + width + space] = BOX
        canvas[space : space + height, left : left + width] = tile
    return Image.fromarray(canvas)


def sheet(
    rows: Sequence[tuple[str, Tensor]],
    columns: Sequence[str] | None = None,
    zoom: int | None = None,
    boxed: Sequence[int] = (0,),
) -> Image.Image:
    """Labelled rows of strips under each other, frames of one column aligned.

    Args:
        rows: label and frames of each row; rows may differ in length. columns: captions above the frames, from the
        left; None leaves them out. zoom, boxed: as in `strip`.
    Shape:
        frames of each row: (time, 3, height, width) in [0, 1], the same height and width in all rows.
    Raises:
        ValueError: if there is no row, frames differ in size, or there are more captions than frames.
    """
    _check_rows(rows, columns)
    zoom = fitting(rows[0][1].shape[-1], zoom)
    size = max(12, min(20, max(5 * zoom, zoom * rows[0][1].shape[-1] // 7)))
    margin, line = size, round(1.35 * size)
    labels = [_wrap(label, size, 13 * size) for label, _ in rows]
    label_width = max(_width(text, size) for lines in labels for text in lines)
    left = margin + (label_width + margin if label_width else 0)
    top = margin + (line if columns else 0)
    images = [strip(frames, zoom, boxed) for _, frames in rows]
    heights = [max(p.height, len(lines) * line) for p, lines in zip(images, labels, strict=True)]
    width = left + max(p.width for p in images) + margin
    between = size // 2
    canvas = Image.new("RGB", (width, top + sum(heights) + between * (len(rows) - 1) + margin), BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    _write_captions(draw, columns or (), left, margin, rows[0][1].shape[-1] * zoom, zoom, size)
    for image, lines, height in zip(images, labels, heights, strict=True):
        canvas.paste(image, (left, top + (height - image.height) // 2))
        first = top + (height - len(lines) * line) // 2 + line // 2
        for number, text in enumerate(lines):
            draw.text((margin, first + number * line), text, _INK, _font(size), anchor="lm")
        top += height + between
    return canvas


def captioned(
    frames: Tensor, captions: Sequence[str], good: Sequence[bool | None], head: Sequence[str] = (),
    zoom: int | None = None,
) -> Image.Image:  # fmt: skip
    """Images in about as many rows as columns, each with a caption under it, and lines of text above all.

    Args:
        captions: one for each image, in as many lines as it needs, up to three. good: whether the bar beside an image's
            caption is green or red; None for none. head: lines above. zoom: as in `strip`.
    Shape:
        frames: (n, 3 or 1, height, width) in [0, 1].
    Raises:
        ValueError: if there are not as many captions as images.
    """
    if not len(frames) == len(captions) == len(good):
        raise ValueError(f"captioned: expected a caption for each of {len(frames)} images, got {len(captions)}.")
    zoom = fitting(frames.shape[-1], zoom)
    tiles = pixels(frames, zoom)
    count, height, width, _ = tiles.shape
    columns, size, space = max(1, round(count**0.5)), 11, 2 * zoom
    line, high = round(1.5 * size), round(1.35 * 14)
    told = [_wrap(caption, size, width)[:LINES] for caption in captions]
    below = line * max(map(len, told), default=1)
    top = space + (len(head) * high + space if head else 0)
    rows = -(-count // columns)
    across = max(columns * (width + space) + space, *(2 * space + _width(t, 14) for t in head), 0)
    canvas = Image.new("RGB", (across, top + rows * (height + below + space)), BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    for number, text in enumerate(head):
        draw.text((space, space + number * high + high // 2), text, _INK, _font(14), anchor="lm")
    for index, tile in enumerate(tiles):
        left, above = space + index % columns * (width + space), top + index // columns * (height + below + space)
        canvas.paste(Image.fromarray(tile), (left, above))
        if good[index] is not None:
            draw.rectangle((left, above + height, left + width - 1, above + height + 2), _GOOD if good[index] else BOX)
        for number, words in enumerate(told[index]):
            text, small = _fit(words, size, width)
            middle = above + height + 2 + number * line + line // 2
            draw.text((left + width // 2, middle), text, _INK, _font(small), anchor="mm")
    return canvas


def compare(
    true: Tensor,
    generated: Tensor,
    zoom: int | None = None,
    labels: tuple[str, str] = ("true", "generated"),
    columns: Sequence[str] | None = None,
    boxed: Sequence[int] = (0,),
) -> Image.Image:
    """The true sequence above the generated one, both starting with the input.

    Args:
        labels: names of the two rows. columns: captions; None counts frames from the input: t, +1, +2, ...
        zoom, boxed: as in `strip`.
    Shape:
        true, generated: (time, 3, height, width) in [0, 1]; the lengths may differ.
    """
    if columns is None:
        columns = ["t", *(f"+{n}" for n in range(1, max(len(true), len(generated))))]
    return sheet([(labels[0], true), (labels[1], generated)], columns, zoom, boxed)


def _check_rows(rows: Sequence[tuple[str, Tensor]], columns: Sequence[str] | None) -> None:
    if not rows:
        raise ValueError("sheet: expected at least one row of frames, got none.")
    sizes = {tuple(frames.shape[-2:]) for _, frames in rows}
    if len(sizes) > 1:
        raise ValueError(f"sheet: expected frames of one size, got {sorted(sizes)}.")
    longest = max(len(frames) for _, frames in rows)
    if columns is not None and len(columns) > longest:
        raise ValueError(f"sheet: got {len(columns)} captions for at most {longest} frames.")


def _write_captions(
    draw: ImageDraw.ImageDraw, columns: Sequence[str], left: int, top: int, width: int, gap: int, size: int
) -> None:
    for index, caption in enumerate(columns):
        text, small = _fit(caption, round(0.9 * size), width)
        centre = left + gap + index * (width + gap) + width // 2
        draw.text((centre, top + size // 3), text, _FAINT, _font(small), anchor="mm")


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    import matplotlib  # slow to import, and needed for its bundled font alone

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), size)


def _width(text: str, size: int) -> int:
    return round(_font(size).getlength(text))


def _wrap(text: str, size: int, width: int) -> list[str]:
    """Lines of whole words, each at most `width` wide where words allow."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _width(longer, size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _fit(text: str, size: int, width: int) -> tuple[str, int]:
    """The text and the largest font size that fit into `width`, cut with an ellipsis below 9 points."""
    while size > 9 and _width(text, size) > width:
        size -= 1
    if _width(text, size) > width:
        while text and _width(text + "…", size) > width:
            text = text[:-1]
        text += "…"
    return text, size
