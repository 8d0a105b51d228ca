"""Cards: small trained energies that ship with the package, the baselines beside them, and the shipped classifiers.

A card is a run folder: recipe.json, model.safetensors, run.json, scores.json, card.md.
"""

from functools import cache
from pathlib import Path

from torch import nn

from ergosum.nets.classifier import DigitClassifier, ImageClassifier
from ergosum.training.runfolder import CARDS, load_predictor, load_weights, locate

__all__ = ["CARDS", "Zoo", "find", "names"]

BASELINES = CARDS.parent / "baselines"
"""Baselines that every score can show beside an energy."""


def names() -> list[str]:
    """Names of the cards."""
    return sorted(p.name for p in CARDS.iterdir() if (p / "recipe.json").exists())


def find(name: str | Path) -> Path:
    """The folder of a card, or of a run given by its path.

    Raises:
        FileNotFoundError: if there is neither.
    """
    return locate(name, CARDS)


class Zoo:
    """What ships, as a score asks for it (`training.task.Shelf`)."""

    def card(self, name: str) -> nn.Module | None:
        """The model of a card or of a shipped baseline; None if there is none of that name."""
        folder = next((root / name for root in (CARDS, BASELINES) if (root / name / "recipe.json").is_file()), None)
        return None if folder is None else _loaded(folder)

    def classifier(self, name: str) -> nn.Module:
        """`identity`: whether a digit is still the same; `features`: which dataset an image is from, how many objects
        it shows and what was done to it, whose features compare sets of images.

        Raises:
            ValueError: if there is no such classifier.
        """
        if name not in ("identity", "features"):
            raise ValueError(f"classifier: expected 'identity' or 'features', got {name!r}.")
        return _classifier(name)


@cache
def _loaded(folder: Path) -> nn.Module:
    return load_predictor(folder)[1]


@cache
def _classifier(name: str) -> nn.Module:
    weights = load_weights(Path(__file__).parent / f"{name}.safetensors")
    model = DigitClassifier() if name == "identity" else ImageClassifier(len(weights["head.bias"]))
    model.load_state_dict(weights)
    return model.eval()
