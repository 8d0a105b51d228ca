"""All metrics of disentanglement on representations whose worth is known: three factors of 4, 5 and 6 levels, every
combination ten times, so that the factors are exactly independent."""

import pytest
import torch

from ergosum.metrics.beta_vae import beta_vae
from ergosum.metrics.dci import dci
from ergosum.metrics.factor_vae import factor_vae
from ergosum.metrics.mcc import mcc
from ergosum.metrics.mig import mig
from ergosum.metrics.references import reference_rows
from ergosum.metrics.sap import sap

FACTORS = torch.cartesian_prod(torch.arange(4.0), torch.arange(5.0), torch.arange(6.0)).repeat(10, 1)
ROWS = len(FACTORS)
DRAWN = {"train": 600, "evaluate": 600, "batch": 32}

METRICS = {
    "beta_vae": lambda z, v, g: beta_vae(z, v, g, **DRAWN),
    "factor_vae": lambda z, v, g: factor_vae(z, v, g, **DRAWN),
    "mig": lambda z, v, g: mig(z, v),
    "mcc": lambda z, v, g: mcc(z, v),
    "mcc, pearson": lambda z, v, g: mcc(z, v, "pearson"),
    "sap": lambda z, v, g: sap(z, v, g),
    "sap, correlation": lambda z, v, g: sap(z, v, g, "correlation"),
    "dci, disentanglement": lambda z, v, g: dci(z, v, g).disentanglement,
    "dci, completeness": lambda z, v, g: dci(z, v, g).completeness,
    "dci, informativeness": lambda z, v, g: dci(z, v, g).informativeness,
}
GUESS = (1 / 4 + 1 / 5 + 1 / 6) / 3
"""How often a guess of a factor's level is right."""

every_metric = pytest.mark.parametrize("name", METRICS)


@pytest.fixture(scope="module")
def rows():
    made = reference_rows(FACTORS, torch.Generator().manual_seed(0))
    mirror = torch.eye(3, dtype=torch.float64) - 2 / 3
    return made | {
        "mirrored": made["oracle"] @ mirror,
        "clock": made["oracle"][:, :1].expand(-1, 3),
        "constant": torch.full((ROWS, 3), 0.3),
        "beside noise": torch.cat([made["oracle"], made["noise"]], 1),
    }


@pytest.fixture(scope="module")
def score(rows):
    return lambda name, row: METRICS[name](rows[row], FACTORS, torch.Generator().manual_seed(1))


# accuracies of guesses: 4 standard errors at 400 rows per factor, and of 600 batches that name one of three factors
LEVEL_ERROR = 4 * (0.25 * 0.75 / 400) ** 0.5
FACTOR_ERROR = 4 * (1 / 3 * 2 / 3 / 600) ** 0.5


@every_metric
def test_an_oracle_is_best_in_any_order_and_unit(name, score):
    best = 1 - GUESS if name == "sap" else 1
    slack = LEVEL_ERROR if name == "sap" else 1e-9
    assert score(name, "oracle") == pytest.approx(best, abs=slack)
    assert score(name, "permuted") == pytest.approx(best, abs=slack)


@every_metric
def test_codes_that_say_nothing_do_not_spoil_an_oracle(name, score):
    """But for the information and correlation that a runner-up has by chance: 19 * 5 / 2 n nats, 1 / n."""
    slack = {"mig": 0.06, "sap": LEVEL_ERROR, "sap, correlation": 16 / ROWS}.get(name, 1e-9)
    best = 1 - GUESS if name == "sap" else 1
    assert score(name, "beside noise") == pytest.approx(best, abs=slack)


@pytest.mark.parametrize("name", sorted(set(METRICS) - {"beta_vae", "dci, informativeness"}))
def test_a_rotation_costs_what_looks_along_axes(name, score):
    assert score(name, "rotated") < 0.9 * score(name, "oracle")
    assert score(name, "mirrored") < 0.8 * score(name, "oracle")


def test_a_mirrored_oracle_has_the_scores_that_follow_from_its_entries(score):
    """Codes are 1/3 of their own factor and -2/3 of both others: a pairing finds 2/3, and there is no best code."""
    assert score("mcc, pearson", "mirrored") == pytest.approx(2 / 3)
    assert score("sap, correlation", "mirrored") == pytest.approx(0, abs=1e-9)


def test_the_beta_vae_metric_and_informativeness_look_through_a_rotation(score):
    assert score("beta_vae", "mirrored") > 0.5 and score("dci, informativeness", "mirrored") > 0.6


@every_metric
def test_noise_scores_chance(name, score):
    """Information: (19 * 5 + 4 sqrt(2 * 95)) / 2 n nats at most, per ln 4. Correlation: 4 standard errors."""
    chance, slack = {
        "beta_vae": (1 / 3, FACTOR_ERROR),
        "factor_vae": (1 / 3, FACTOR_ERROR),
        "mig": (0, 0.045),
        "mcc": (0, 4 / ROWS**0.5),
        "mcc, pearson": (0, 4 / ROWS**0.5),
        "sap": (0, LEVEL_ERROR),
        "sap, correlation": (0, 16 / ROWS),
        "dci, informativeness": (GUESS, LEVEL_ERROR),
    }.get(name, (0, 0.05))
    assert score(name, "noise") == pytest.approx(chance, abs=slack)


@every_metric
def test_constants_score_no_better_than_noise(name, score):
    chance, slack = {"beta_vae": (1 / 3, FACTOR_ERROR), "dci, informativeness": (GUESS, LEVEL_ERROR)}.get(name, (0, 0))
    assert score(name, "constant") == pytest.approx(chance, abs=slack)


@every_metric
def test_one_factor_in_every_code_is_a_third_of_the_work(name, score):
    """Held or not is all that the clock tells of factors: 1/3 + 2/3 * 1/2 with a classifier, 1/3 with a vote."""
    known, slack = {
        "beta_vae": (2 / 3, FACTOR_ERROR),
        "factor_vae": (1 / 3, FACTOR_ERROR),
        "mcc": (1 / 3, 1e-9),
        "mcc, pearson": (1 / 3, 1e-9),
        "dci, disentanglement": (0, 0.25),
        "dci, completeness": (0, 0.25),
        "dci, informativeness": ((1 + 1 / 5 + 1 / 6) / 3, LEVEL_ERROR),
    }.get(name, (0, 1e-9))
    assert score(name, "clock") == pytest.approx(known, abs=slack)


def test_on_lockstep_rows_a_clock_passes_for_disentanglement(rows):
    """Why independent factors are asked for: nothing is told apart here, and both of these are perfect."""
    clock = torch.arange(12.0).repeat(100)[:, None].expand(-1, 3)
    assert mcc(clock, clock) == pytest.approx(1)
    assert mig(torch.cat([clock[:, :1], rows["noise"][:, 1:]], 1), clock) > 0.9


@every_metric
def test_the_same_seed_gives_the_same_number(name, rows, score):
    assert score(name, "rotated") == score(name, "rotated")
    assert METRICS[name](rows["rotated"].float(), FACTORS.int(), torch.Generator().manual_seed(1)) == pytest.approx(
        score(name, "rotated"), abs=0.02
    )


@every_metric
def test_constant_factors_count_for_nothing(name, rows, score):
    widened = torch.cat([FACTORS, torch.ones(ROWS, 1)], 1)
    value = METRICS[name](rows["permuted"], widened, torch.Generator().manual_seed(1))
    assert value == pytest.approx(score(name, "permuted"))


@every_metric
def test_wrong_shapes_are_refused_by_name(name, rng):
    metric = name.partition(",")[0]
    with pytest.raises(ValueError, match=rf"{metric}: expected latents \(rows, codes\).*Flatten"):
        METRICS[name](torch.zeros(ROWS, 2, 3), FACTORS, rng)
    with pytest.raises(ValueError, match=rf"{metric}: needs at least \d factors that vary, got 0"):
        METRICS[name](torch.zeros(ROWS, 2), torch.ones(ROWS, 2), rng)


@pytest.mark.parametrize("name", sorted(set(METRICS) - {"mcc", "mcc, pearson", "sap, correlation"}))
def test_continuous_factors_are_to_be_cut_first(name, rng):
    with pytest.raises(ValueError, match="binned"):
        METRICS[name](torch.zeros(ROWS, 2), torch.rand(ROWS, 2, generator=rng), rng)
