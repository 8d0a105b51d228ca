"""What every metric obeys."""

import pytest
from cases import METRICS

every_metric = pytest.mark.parametrize("name", METRICS)


@every_metric
def test_a_metric_is_best_on_the_truth_itself(name):
    measure = METRICS[name]
    assert measure.of(0.0) == pytest.approx(measure.best, abs=1e-4)


@every_metric
def test_a_metric_gets_worse_as_the_gap_grows(name):
    measure = METRICS[name]
    values = [measure.of(gap) for gap in (0.0, 0.1, 0.2, 0.4)]
    assert values == sorted(values, reverse=not measure.rises) and len(set(values)) == len(values)
