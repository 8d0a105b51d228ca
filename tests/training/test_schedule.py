"""The learning rate over stages of training."""

import pytest

from ergosum.training.experiment import Optimiser
from ergosum.training.schedule import learning_rate


@pytest.mark.parametrize("schedule", ["cosine", "onecycle", "constant"])
def test_every_stage_goes_through_the_schedule_once(schedule):
    whole = Optimiser(iterations=300, schedule=schedule)
    first, second = Optimiser(iterations=120, schedule=schedule), Optimiser(iterations=180, schedule=schedule)
    staged = [learning_rate(whole, i, (0.4,)) for i in range(300)]
    assert staged[:120] == pytest.approx([learning_rate(first, i) for i in range(120)])
    assert staged[120:] == pytest.approx([learning_rate(second, i) for i in range(180)])
    assert [learning_rate(whole, i) for i in (0, 150)] == [learning_rate(whole, i, ()) for i in (0, 150)]


def test_several_stages_each_have_their_own():
    optimiser = Optimiser(iterations=100)
    rates = [learning_rate(optimiser, i, (0.2, 0.5)) for i in range(100)]
    # each stage begins with a warm-up, below where the one before was in its middle, and ends low
    assert rates[20] < rates[10] and rates[50] < rates[35] and rates[49] < 0.1 * optimiser.rate
