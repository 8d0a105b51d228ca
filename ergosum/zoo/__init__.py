"""Cards: small trained energies that ship with the package, and the networks that judge pictures.

A card is a run folder: recipe.json, model.safetensors, run.json, scores.json, card.md.
"""

from pathlib import Path

from torch import nn

from ergosum.nets.classifier import DigitClassifier, PictureClassifier
from ergosum.runfolder import CARDS, load_predictor, load_weights, locate
from ergosum.settings import FACTORS

__all__ = ["CARDS", "baselines", "companions", "extractor", "find", "judge", "names", "reference"]


def names() -> list[str]:
    """Names of the cards."""
    return sorted(p.name for p in CARDS.iterdir() if (p / "recipe.json").exists())


def find(name: str) -> Path:
    """The folder of a card, or of a run given by its path.

    Raises:
        FileNotFoundError: if there is neither.
    """
    return locate(name, CARDS)


def companions(factors: tuple[str, ...]) -> dict[str, nn.Module]:
    """Cards for the factors that are not among the given ones."""
    wanted = [f for f in FACTORS if f not in factors and (CARDS / f"digits-{f}" / "recipe.json").exists()]
    return {f"digits-{f}": load_predictor(CARDS / f"digits-{f}")[1] for f in wanted}


def baselines() -> dict[str, dict[str, nn.Module]]:
    """Trained baselines that ship with the package: name -> factor -> predictor."""
    found: dict[str, dict[str, nn.Module]] = {}
    for folder in sorted((CARDS.parent / "baselines").glob("*/recipe.json")):
        experiment, predictor = load_predictor(folder.parent)
        kind = {"feedforward-unet": "feed-forward U-Net", "feedforward-transport": "feed-forward transport",
                "report": "report's networks"}[folder.parent.name.rsplit("-", 1)[0]]  # fmt: skip
        found.setdefault(kind, {})[experiment.model.components[0]] = predictor
    return found


def reference() -> nn.Module | None:
    """The energy trained on joint changes, which composition is compared with; None if it is not installed."""
    folder = CARDS / "digits-joint"
    return load_predictor(folder)[1] if (folder / "recipe.json").exists() else None


def judge() -> DigitClassifier:
    """The classifier that judges whether a digit is still the same."""
    model = DigitClassifier()
    model.load_state_dict(load_weights(Path(__file__).parent / "judge.safetensors"))
    return model.eval()


def extractor() -> PictureClassifier:
    """The classifier whose features compare sets of pictures: it tells set, number of objects, and damage."""
    weights = load_weights(Path(__file__).parent / "extractor.safetensors")
    model = PictureClassifier(len(weights["head.bias"]))
    model.load_state_dict(weights)
    return model.eval()
