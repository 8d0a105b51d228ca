r"""Who guesses values from the rest of codes, so that the encoder learns to keep them out of it.

The encoder is rewarded for guesses that are as bad as those of one who knows nothing, and not for worse ones: rewarded
for wrong guesses without bound, codes run away.

Source: a rest from which values cannot be guessed, Lample et al. 2017 (Fader networks), by the reversed gradient of
Ganin & Lempitsky 2015. Differs: the reward ends at chance.
"""

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from ergosum.concepts.code_parts import centred
from ergosum.data.attributed import Attribute, columns

__all__ = ["Guesser"]

WIDTH = 128


class Guesser(nn.Sequential):
    """Guesses of values; nothing but training needs them, so that cards have no weights of it.

    Args:
        rest: numbers of a code's rest. attributes: whose values are guessed. parts: of a guess, one for each attribute:
            logits of its values, or its numbers in units of the deviation of uniform ones.
    Shape:
        rest: (batch, rest). Returns (batch, sum over parts).
    """

    def __init__(self, rest: int, attributes: Sequence[Attribute], parts: Sequence[slice]) -> None:
        first, between, last = nn.Linear(rest, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, parts[-1].stop)
        super().__init__(first, nn.SiLU(), between, nn.SiLU(), last)
        self.attributes, self.parts = tuple(attributes), tuple(parts)

    def against(self, rest: Tensor, values: Tensor) -> Tensor:
        """What guesser and encoder learn: the guesser's cross-entropy, less that of the encoder, of values (batch,
        columns), NaN where nobody tells them.
        """
        frozen = {name: parameter.detach() for name, parameter in self.named_parameters()}
        hidden = functional_call(self, frozen, rest)
        return self.misguessed(self(rest.detach()), values) - self.misguessed(hidden, values, chance=True)

    def misguessed(self, guess: Tensor, values: Tensor, chance: bool = False) -> Tensor:
        """The cross-entropy of values with guesses of them, summed over attributes; of numbers that of a normal
        distribution of deviation 1, but for its constant. With `chance` no guess counts more than one that knows
        nothing.
        """
        told = guess.new_zeros(())
        for attribute, column, part in zip(self.attributes, columns(self.attributes), self.parts, strict=True):
            known = ~values[:, column].isnan().any(1)
            value = values[:, column].nan_to_num()
            if attribute.values:
                each = F.cross_entropy(guess[:, part], value[:, 0].long(), reduction="none")
                ignorant = math.log(len(attribute.values))
            else:
                each = (guess[:, part] - centred(value)).square().sum(1) / 2
                ignorant = attribute.numbers / 2
            each = each.clamp(max=ignorant) if chance else each
            told = told + (each * known).sum() / known.sum().clamp(min=1)
        return told
