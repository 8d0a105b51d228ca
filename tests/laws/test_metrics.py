"""What every metric obeys."""

import inspect
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import numpy as np
import pytest
import torch
from metrics_cases import GRID, METRICS, NO_SCORES, PARTS, ratio

from ergosum import metrics

HERE = Path(__file__).parents[1] / "metrics"
every_metric = pytest.mark.parametrize("name", METRICS)
RANDOM = [name for name in metrics.__all__ if "generator" in inspect.signature(getattr(metrics, name)).parameters]


def test_every_public_name_has_a_row_and_every_metric_is_exported():
    homes = [import_module(f"ergosum.metrics.{module.name}") for module in iter_modules(metrics.__path__)]
    public = {name for home in homes for name in home.__all__}
    rows = {row.partition(",")[0] for row in METRICS}
    assert public == rows | set(PARTS) and rows <= set(metrics.__all__) <= public
    for name in metrics.__all__:
        assert name in import_module(getattr(metrics, name).__module__).__all__


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_named_where_it_is_tested(name):
    assert name in (HERE / PARTS[name]).read_text()


@every_metric
def test_a_metric_is_best_on_the_truth_itself(name):
    case = METRICS[name]
    if not np.isnan(case.best):
        assert ratio(case, *case.given(0.0)) == pytest.approx(case.best, abs=1e-4)


@every_metric
def test_a_metric_gets_worse_as_the_gap_grows(name):
    case = METRICS[name]
    values = [ratio(case, *case.given(gap)) for gap in (0.0, 0.1, 0.2, 0.4)]
    assert values == sorted(values, reverse=not case.rises) and len(set(values)) == len(values)


@every_metric
def test_arrays_say_the_same_as_tensors(name):
    case = METRICS[name]
    given = case.given(0.2)
    for arrays in ([x.numpy() for x in given], [given[0], *(x.numpy() for x in given[1:])]):
        assert ratio(case, *arrays) == ratio(case, *given)


@every_metric
def test_the_order_of_samples_does_not_matter(name):
    case = METRICS[name]
    given = case.given(0.2)
    order = torch.randperm(len(given[0]), generator=torch.Generator().manual_seed(5))
    value = ratio(case, *case.mixed(given, order))
    assert value == pytest.approx(ratio(case, *given), abs=case.order)


@every_metric
def test_a_value_that_is_not_finite_never_gets_a_number(name):
    """Per coordinate it is NaN (`diagnostics`), else it is refused."""
    case = METRICS[name]
    given = case.given(0.2)
    for place, x in enumerate(given):
        for bad in (torch.nan, torch.inf) if x.is_floating_point() else ():
            spoilt = x.clone()
            spoilt.view(-1)[-1] = bad
            arguments = [*given[:place], spoilt, *given[place + 1 :]]
            if name in ("ess", "rhat", "mcse"):
                assert np.isnan(ratio(case, *arguments))
            else:
                with pytest.raises(ValueError, match=r"must be finite; 1 of \d+ values"):
                    case.of(*arguments)


@every_metric
def test_what_is_blank_or_constant_never_scores_well(name):
    """No better than a floor, or refused, or no number."""
    case = METRICS[name]
    assert case.blank or name in NO_SCORES
    for blank in case.blank:
        try:
            value = ratio(case, *blank())
        except ValueError:
            continue
        better = value < case.floor if case.rises else value > case.floor
        assert not better, f"{value} is better than {case.floor}"


@pytest.mark.parametrize("name", sorted(set(METRICS) - NO_SCORES))
def test_nothing_at_all_is_refused(name):
    case = METRICS[name]
    with pytest.raises(ValueError, match="expected"):
        case.of(*(x[:0] for x in case.given(0.2)))


@pytest.mark.parametrize("name", RANDOM)
def test_randomness_is_optional_and_comes_from_the_default_generator(name):
    assert len(RANDOM) == 6
    given = [GRID] if name == "reference_rows" else [GRID + 0.1, GRID]
    with torch.random.fork_rng():
        drawn = [(torch.manual_seed(seed), getattr(metrics, name)(*given))[1] for seed in (3, 3, 4)]
        own = getattr(metrics, name)(*given, generator=torch.Generator().manual_seed(3))
    same, again, other, own = (value["noise"].tolist() if isinstance(value, dict) else value for value in (*drawn, own))
    assert str(same) == str(again) == str(own)
    assert name not in ("reference_rows", "kid") or str(same) != str(other)
