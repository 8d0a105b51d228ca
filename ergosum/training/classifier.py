"""Train the judge of digit identity on true frames with random hue, angle and scale.

`python -m ergosum.training.classifier OUT.safetensors` makes the file that ships with the package.
"""

import sys
from pathlib import Path

import torch
from torch.nn import functional as F

from ergosum.data.sequences import SequenceData
from ergosum.nets.classifier import DigitClassifier
from ergosum.runfolder import save_weights
from ergosum.settings import DataSettings

__all__ = ["train_classifier"]


def train_classifier(
    iterations: int = 2500, batch: int = 128, source: str = "digits+mnist", seed: int = 0
) -> DigitClassifier:
    """A classifier trained on frames with hue, angle and scale drawn at random, scale 0.4 .. 1.8."""
    torch.manual_seed(seed)
    model = DigitClassifier()
    data = SequenceData(DataSettings(source=source), "train")
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, iterations)
    for _ in range(iterations):
        pairs = data.pairs(batch, generator)
        # soften some frames, so that a little blur does not count as another digit
        frames = torch.where(
            torch.rand(batch, 1, 1, 1, generator=generator) < 0.3, F.avg_pool2d(pairs.start, 3, 1, 1), pairs.start
        )
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(frames)
        optimiser.zero_grad()
        F.cross_entropy(logits.float(), pairs.labels).backward()
        optimiser.step()
        schedule.step()
    return model.eval()


if __name__ == "__main__":
    save_weights(Path(sys.argv[1]), train_classifier().state_dict())
