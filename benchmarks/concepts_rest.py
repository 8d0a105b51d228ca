"""What is lost by a code's rest: images whose parts are told, with the rest of the same image, of another, or drawn.

Of held-out images the values are told, so that every part but the rest lies where they say. The rest is the image's
own, that of another held-out image, drawn from the energy of the rest, or drawn from the normal distribution of its
mean and deviation; the data's own reader says in how many of the decoded images all attributes are right. The first
row is what the decoder loses, the second what the rest knows of the values, the third what the energy loses beside.
The second table is of the same images as the codec's own encoder reads them (named values alone), which has learned to
read what the decoder draws, and is no judge of it.
The third table is of how often a random forest that learned from the rests of one half of the images guesses a named
value by the rests of the other half, beside the share of the value that is shown most often.

    python benchmarks/concepts_rest.py concepts-latents concepts-faces --n 1000
"""

import argparse
from collections.abc import Sequence
from typing import Any

import torch
from sklearn.ensemble import ExtraTreesClassifier
from torch import Generator, Tensor

from ergosum.concepts.scores import right
from ergosum.density.sampling import decoded, draw
from ergosum.report.tables import as_text
from ergosum.training.runfolder import load_predictor
from ergosum.training.task import Table
from ergosum.zoo import Zoo

__all__ = ["guessed", "main", "read_by_encoder", "rests"]


@torch.no_grad()
def rests(model: Any, images: Tensor, values: Tensor, generator: Generator) -> dict[str, Tensor]:
    """Points (n, D) whose parts are told, with every kind of rest."""
    told = model.points(images, values, generator)
    rest = model.family.parts[-1]
    own, n = told[:, rest], len(told)
    kinds = {
        "the same image": own,
        "another image": own[torch.randperm(n, generator=generator)],
        "drawn": draw([model], model.family.prior(), n, generator).x[:, rest],
        "normal": own.mean(0) + own.std(0) * torch.randn(own.shape, generator=generator),
    }
    return {name: torch.cat([told[:, : rest.start], kind], 1) for name, kind in kinds.items()}


@torch.no_grad()
def read_by_encoder(model: Any, images: Tensor) -> Tensor:
    """Named values (n, columns) whose parts the encoder's codes of images lie nearest to; NaN of numbers."""
    codes = model.space.codec.encode(images)
    values = codes.new_full((len(codes), model.family.conditions.width), torch.nan)
    for attribute, column, part in zip(model.attributes, model.columns, model.space.codec.parts, strict=False):
        if attribute.values:
            values[:, column] = codes[:, part].argmax(1, keepdim=True).float()
    return values


def guessed(model: Any, rests: Tensor, values: Tensor, seed: int) -> list[dict[str, Any]]:
    """For each attribute of named values the share of the second half of rests (n, D) that tell it to a forest."""
    half, rows = len(rests) // 2, []
    for attribute, column in zip(model.attributes, model.columns, strict=True):
        if attribute.values:
            value = values[:, column][:, 0].long()
            forest = ExtraTreesClassifier(300, random_state=seed, min_samples_leaf=3)
            forest.fit(rests[:half].numpy(), value[:half].numpy())
            right = forest.score(rests[half:].numpy(), value[half:].numpy())
            most = (value[half:] == value[:half].mode().values).float().mean().item()
            rows.append({"attribute": attribute.name, "guessed": float(right), "most frequent": most})
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cards", nargs="+", help="cards or run folders of concepts in codes with parts")
    parser.add_argument("--n", type=int, default=1000, help="images")
    parser.add_argument("--seed", type=int, default=0, help="of images and draws")
    chosen = parser.parse_args(arguments)
    rows, own, told = [], [], []
    for card in chosen.cards:
        experiment, loaded = load_predictor(card)
        task: Any = experiment.built()
        model: Any = loaded.eval()
        generator = Generator().manual_seed(1_000_000 + chosen.seed)
        held = task.data.build(split="test").attributed(chosen.n, generator)
        read = task.reader(Zoo())
        row: dict[str, Any] = {"card": card}
        row_of_encoder: dict[str, Any] = {"card": card}
        kinds = rests(model, held.images, held.values, generator)
        rest = kinds["the same image"][:, model.family.parts[-1]]
        told += [{"card": card, **guess} for guess in guessed(model, rest, held.values, chosen.seed)]
        for name, points in kinds.items():
            seen = decoded(model, points)
            row[name] = right(model.attributes, read(seen), held.values).all(1).float().mean().item()
            named = right(model.attributes, read_by_encoder(model, seen), held.values)
            kept = [n for n, a in enumerate(model.attributes) if a.values]
            row_of_encoder[name] = named[:, kept].all(1).float().mean().item()
        rows.append(row)
        own.append(row_of_encoder)
    names = [name for name in rows[0] if name != "card"]
    title = f"All attributes right, by where the rest is from; n = {chosen.n}, seed {chosen.seed}"
    print(as_text(Table(("card",), dict.fromkeys(names, 3), rows, title)))
    title = "Named values right as the codec's own encoder reads the same images"
    print(f"\n{as_text(Table(('card',), dict.fromkeys(names, 3), own, title))}")
    title = "Values guessed from the rest of the same image alone"
    print(f"\n{as_text(Table(('card', 'attribute'), {'guessed': 3, 'most frequent': 3}, told, title))}")


if __name__ == "__main__":
    main()
