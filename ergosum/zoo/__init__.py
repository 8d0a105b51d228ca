"""Cards: small trained energies that ship with the package, the baselines beside them, and the shipped classifiers.

A card is a run folder: recipe.json, model.safetensors, run.json, scores.json, card.md.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from torch import Tensor, nn

from ergosum.nets.classifier import DigitClassifier, ImageClassifier, UprightClassifier
from ergosum.training.runfolder import CARDS, load_predictor, load_weights, locate

__all__ = ["CARDS", "Zoo", "find", "names"]

BASELINES = CARDS.parent / "baselines"
"""Baselines that every score can show beside an energy."""


def names() -> list[str]:
    """Names of the cards."""
    return sorted(p.name for p in CARDS.iterdir() if (p / "recipe.json").exists())


def find(name: str | Path) -> Path:
    """The folder of a card, of a run given by its path, or of one on a hub, `hf://USER/NAME`, which is fetched.

    Raises:
        FileNotFoundError: if there is none. ImportError: for a name on a hub, without huggingface_hub.
    """
    return locate(name, CARDS)


CLASSIFIERS: dict[str, Callable[[dict[str, Tensor]], nn.Module]] = {
    "identity": lambda weights: DigitClassifier(),
    "upright": lambda weights: UprightClassifier(),
    "features": lambda weights: ImageClassifier(len(weights["head.bias"])),
}
"""What makes each shipped classifier for its weights."""


class Zoo:
    """What ships, as a score asks for it (`training.task.Shelf`)."""

    def card(self, name: str) -> nn.Module | None:
        """The model of a card or of a shipped baseline; None if there is none of that name."""
        folder = next((root / name for root in (CARDS, BASELINES) if (root / name / "recipe.json").is_file()), None)
        return None if folder is None else _loaded(folder)

    def classifier(self, name: str) -> nn.Module:
        """`identity`: whether a digit is still the same; `upright`: which upright digit an image shows, whose features
        compare sets of digits; `features`: which dataset an image is from, how many objects it shows and what was done
        to it, whose features compare sets of images.

        Raises:
            ValueError: if there is no such classifier.
        """
        if name not in CLASSIFIERS:
            raise ValueError(f"classifier: expected one of {', '.join(CLASSIFIERS)}, got {name!r}.")
        return _classifier(name)


@cache
def _loaded(folder: Path) -> nn.Module:
    return load_predictor(folder)[1]


@cache
def _classifier(name: str) -> nn.Module:
    weights = load_weights(Path(__file__).parent / f"{name}.safetensors")
    model = CLASSIFIERS[name](weights)
    model.load_state_dict(weights)
    return model.eval()
