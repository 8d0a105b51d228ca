r"""A film as a row of segments, in each of which one set of energies acts at constant speeds.

$$ p(\text{segment}, S) = p(S) \int N(z; 0, \tau^2 I) \prod_t p(b_t | a_t, S, z) dz $$

Each factor is a Gaussian around the moves that were read off its pair of frames, so that the integral is closed. A
segment ends with a frame with probability `CHANGES`. Sums over all segmentations give the probability that an energy
acts in a frame (forward and backward); the best segmentation is found by dynamic programming. A frame that no energy
explains is a segment of its own, with probability `FOREIGN` and the evidence of anything else.
"""

import math

import torch
from torch import Tensor

from ergosum.temporal.film.evidence import ErrorModel, Fits, Weights

__all__ = ["CHANGES", "FOREIGN", "LONGEST", "Segmentation"]

CHANGES = 0.2
"""Probability that a segment ends with a frame, before anything is seen."""
FOREIGN = 0.02
"""Probability that no energy explains a frame, before anything is seen."""
LONGEST = 60
"""Frames of one segment, at most; longer ones are read as several and joined."""


class Segmentation:
    """All ways to cut a film into segments, each of one set of energies, or of one frame that none explains.

    Args:
        fits, weights: of the film's pairs of frames in the order of time. model: of the energies' error. acts,
            speed: as in `weigh`.

    Speeds are known to a relative standard deviation `units` at best, each frame anew: a frame's likelihood over moves
    is widened by it, its mass kept.
    """

    def __init__(self, fits: Fits, weights: Weights, model: ErrorModel, acts: float, speed: float) -> None:
        self.sets, self.moves, self.speed = fits.sets, fits.moves.double(), speed
        self.steps, self.rows = self.moves.shape[:2]
        components = self.moves.shape[2]
        self.units = torch.tensor(model.units or (0.0,) * components, dtype=torch.float64)
        sharp, on = weights.precision, fits.sets.double()
        padded = sharp + torch.diag_embed((1 - on).expand_as(self.moves) + 1e-9)
        wide = torch.diag_embed((self.units * self.moves).square() * on)
        blunt = torch.linalg.inv(torch.linalg.inv(padded) + wide)
        self.precision = blunt * (on[:, :, None] * on[:, None])
        peak = weights.peak + 0.5 * (torch.linalg.slogdet(blunt)[1] - torch.linalg.slogdet(padded)[1])
        pulled = (self.precision @ self.moves[..., None])[..., 0]
        start = lambda v: torch.cat([torch.zeros_like(v[:1]), v.cumsum(0)])  # noqa: E731
        self.peaks, self.precisions, self.pulls = start(peak), start(self.precision), start(pulled)
        self.squares, self.sharp = start((pulled * self.moves).sum(2)), start(sharp)
        size = on.sum(1)
        chance = size * math.log(acts) + (components - size) * math.log(1 - acts)
        self.chance = chance - chance.logsumexp(0)
        self.foreign = weights.foreign + math.log(FOREIGN)
        self.spans = [self._spans(end) for end in range(1, self.steps + 1)]

    def _spans(self, end: int) -> Tensor:
        """Log-evidence of the segments that end before `end` and begin at each earlier frame: (begins, sets + 1)."""
        begin = torch.arange(max(0, end - LONGEST), end)
        total = lambda v: v[end] - v[begin]  # noqa: E731
        posterior = total(self.precisions) + self._prior()
        pull = total(self.pulls)
        mean = torch.linalg.solve(posterior, pull[..., None])[..., 0]
        fit = total(self.peaks) - 0.5 * (total(self.squares) - (pull * mean).sum(2))
        occam = -0.5 * torch.linalg.slogdet(posterior)[1] - self.sets.sum(1) * math.log(self.speed)
        length = (end - begin).double()[:, None]
        prior = (length - 1) * math.log(1 - CHANGES) + math.log(CHANGES) + length * math.log(1 - FOREIGN)
        explained = fit + occam + prior + self.chance
        alone = torch.full((len(begin), 1), -torch.inf, dtype=torch.float64)
        alone[-1] = self.foreign[end - 1]
        return torch.cat([explained, alone], 1)

    def _prior(self) -> Tensor:
        return torch.diag_embed(torch.where(self.sets, 1 / self.speed**2, 1.0).double())

    def pooled(self, first: int, last: int, row: int) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the moves of a set from `first` to before `last`.

        What speeds are uncertain by relatively is the same for all frames of an object: it does not shrink.
        """
        posterior = (self.precisions[last] - self.precisions[first])[row] + self._prior()[row]
        mean = torch.linalg.solve(posterior, (self.pulls[last] - self.pulls[first])[row])
        sharp = torch.linalg.inv((self.sharp[last] - self.sharp[first])[row] + self._prior()[row])
        sd = (sharp.diagonal() + (self.units * mean).square()).sqrt()
        on = self.sets[row]
        return (mean * on).float(), (sd * on).float()

    def best(self) -> list[tuple[int, int, int]]:
        """The best segmentation: begin, end (exclusive) and row of the set, -1 where none explains the frame."""
        score, chosen = [0.0], []
        for end, spans in enumerate(self.spans, 1):
            first = end - len(spans)
            whole = spans + torch.tensor(score[first:end], dtype=torch.float64)[:, None]
            value, place = whole.flatten().max(0)
            begin, row = divmod(int(place), self.rows + 1)
            score.append(float(value))
            chosen.append((first + begin, end, row if row < self.rows else -1))
        path, end = [], self.steps
        while end > 0:
            path.append(chosen[end - 1])
            end = path[-1][0]
        return path[::-1]

    def probabilities(self) -> tuple[Tensor, Tensor]:
        """Probability that each energy acts (steps, K), and that none explains the frame (steps,)."""
        ahead = torch.zeros(self.steps + 1, dtype=torch.float64)
        for end, spans in enumerate(self.spans, 1):
            ahead[end] = (spans.logsumexp(1) + ahead[end - len(spans) : end]).logsumexp(0)
        behind = torch.full((self.steps + 1,), -torch.inf, dtype=torch.float64)
        behind[-1] = 0.0
        for end in range(self.steps, 0, -1):
            spans = self.spans[end - 1]
            part = slice(end - len(spans), end)
            behind[part] = torch.logaddexp(behind[part], spans.logsumexp(1) + behind[end])
        change = torch.zeros(self.steps + 1, self.rows + 1, dtype=torch.float64)
        for end, spans in enumerate(self.spans, 1):
            part = slice(end - len(spans), end)
            mass = (spans + (ahead[part] + behind[end] - ahead[-1])[:, None]).exp()
            change[part] += mass
            change[end] -= mass.sum(0)
        inside = change.cumsum(0)[:-1].clamp(0, 1)
        return (inside[:, :-1] @ self.sets.double()).clamp(0, 1).float(), inside[:, -1].float()
