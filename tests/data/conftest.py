"""What the tests of data share: Fashion-MNIST where it is at hand, and 900 images that stand for it."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from sprites import archive, sprite

from ergosum.data import sources
from ergosum.data.sources import FASHION_FILES


@pytest.fixture
def fashion(monkeypatch):
    """The archive or sprite of Fashion-MNIST; skips where it is not at hand."""
    root = Path(os.environ.get("ERGOSUM_DATA") or "nowhere")
    found = [p / name for p in (root / "fashion", root) for name in FASHION_FILES if (p / name).is_file()]
    if not found:
        pytest.skip(f"Fashion-MNIST is not at hand: set ERGOSUM_DATA to a folder that holds {FASHION_FILES[0]}")
    monkeypatch.setenv("ERGOSUM_DATA", str(root.resolve()))
    return found[0]


@pytest.fixture
def small_fashion(monkeypatch):
    """900 different images as archive and as sprite, and the digest that belongs to them: image i has the binary
    digits of i in its uppermost row, which are white, and grey below.
    """
    number = np.arange(900)
    images = np.zeros((900, 28, 28), np.uint8)
    images[:, 0, :10] = 255 * (number[:, None] >> np.arange(10) & 1)
    images[:, 10:20, 5:25] = 100
    monkeypatch.setattr(sources, "FASHION_PIXELS", hashlib.sha256(images.tobytes()).hexdigest())
    return {"npz": archive(images=images, labels=number // 90), "png": sprite(images)}
