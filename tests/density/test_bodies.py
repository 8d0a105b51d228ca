"""A body of one's own, and what every body gives."""

import pytest
import torch
from torch import nn

from ergosum.density import InnerProduct, LevelEnergy
from ergosum.nets.levels import Field, LevelBody, LevelEncoder, LevelMlp, LevelUNet
from ergosum.part import Part

BODIES = {
    "LevelMlp": lambda inputs: LevelMlp((5,), 7, 8, 1, 2, inputs),
    "LevelUNet": lambda inputs: LevelUNet((2, 12, 12), 7, 4, 2, inputs),
    "LevelEncoder": lambda inputs: LevelEncoder((2, 12, 12), 7, 4, 2, inputs),
}


@pytest.mark.parametrize("inputs", [1, 2])
@pytest.mark.parametrize("name", BODIES)
def test_a_body_gives_a_field_like_the_sample_and_its_numbers(name, inputs):
    body = BODIES[name](inputs)
    event = (5,) if name == "LevelMlp" else (2, 12, 12)
    seen = torch.randn(3, inputs * event[0], *event[1:], generator=torch.Generator().manual_seed(0))
    told = body(seen, torch.randn(3, 7, generator=torch.Generator().manual_seed(1)))
    assert isinstance(body, LevelBody) and told.numbers.shape == (3, 2)
    assert told.field is None if name == "LevelEncoder" else told.field.shape == (3, *event)


@pytest.mark.parametrize("body", [LevelUNet, LevelMlp])
def test_an_untrained_family_is_its_gaussian(body):
    event = (5,) if body is LevelMlp else (1, 12, 12)
    family = LevelEnergy(event, form=Part(InnerProduct, body=Part(body, width=4)))
    x = torch.randn(3, *event, generator=torch.Generator().manual_seed(0))
    expected = x.square().flatten(1).sum(1) / 2 / (1 + 0.25)
    found = family.prior().at_noise(0.5)(x)
    torch.testing.assert_close(found - found[0], expected - expected[0])


class Linear(LevelBody):
    """The field of a Gaussian of variance 1/4 in place of 1."""

    def __init__(self, event: tuple[int, ...], code: int) -> None:
        super().__init__()
        self.number = nn.Linear(code, 1)

    def forward(self, seen, code):
        return Field(-seen, 0 * self.number(code))


def test_a_body_of_ones_own_takes_what_it_asks_for():
    family = LevelEnergy((3,), form=Part(InnerProduct, body=Part(Linear)))
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    found = family.prior().at_noise(1.0)
    # E - anchor = (s_d / sigma) <u, u>, u = x / sqrt 2
    torch.testing.assert_close(found(x) - found(0 * x), x.square().sum(1) * (0.25 + 0.5))
