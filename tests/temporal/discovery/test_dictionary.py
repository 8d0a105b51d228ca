"""The sparse dictionary: against brute force, and on clips whose generators are known."""

from itertools import combinations

import pytest
import torch

from ergosum.temporal.discovery import Fitting
from ergosum.temporal.discovery.dictionary import fit, prune, speeds
from ergosum.temporal.discovery.library import Statistics
from ergosum.temporal.reading import FLOOR


def made(n: int = 400, basis: int = 12, factors: int = 3, seed: int = 0, noise: float = 0.02) -> tuple:
    """Statistics of clips that known generators move one at a time, with their speeds and the generators."""
    g = torch.Generator().manual_seed(seed)
    theta = torch.randn(basis, factors, generator=g, dtype=torch.float64)
    which = torch.randint(factors, (n,), generator=g)
    z = torch.zeros(n, factors, dtype=torch.float64)
    z[torch.arange(n), which] = torch.randn(n, generator=g, dtype=torch.float64)
    phi = torch.randn(n, basis, 40, generator=g, dtype=torch.float64)
    change = torch.einsum("njp,jk,nk->np", phi, theta, z)
    change = change + noise * torch.randn(n, 40, generator=g, dtype=torch.float64)
    gram, cross = phi @ phi.mT / 40, torch.einsum("njp,np->nj", phi, change) / 40
    return Statistics(gram, cross, change.square().mean(1)), z, theta


def test_speeds_are_the_best_of_all_subsets():
    kept, _, theta = made(n=20, factors=4)
    z, cost = speeds(theta, kept, 0.05, 3)
    for i in range(20):
        gram, cross = theta.T @ kept.gram[i] @ theta, theta.T @ kept.cross[i]
        scale = kept.energy[i] + FLOOR
        best = kept.energy[i] / scale
        for size in (1, 2, 3):
            for chosen in map(list, combinations(range(4), size)):
                solved = torch.linalg.solve(gram[chosen][:, chosen], cross[chosen])
                best = min(best, (kept.energy[i] - solved @ cross[chosen]) / scale + 0.05 * size)
        assert cost[i].item() == pytest.approx(best.item(), abs=1e-6)
        assert (z[i] != 0).sum() <= 3


def test_generators_are_found_up_to_order_sign_and_unit():
    kept, z, theta = made()
    best = fit(kept, 3, Fitting(restarts=6), torch.Generator().manual_seed(0))[0]
    cosine = torch.nn.functional.cosine_similarity(best.theta.T[:, None], theta.T[None], dim=2).abs()
    assert cosine.amax(1).min() > 0.99 and set(cosine.argmax(1).tolist()) == {0, 1, 2}
    read, _ = speeds(best.theta, kept, 0.05, 1)
    assert ((read != 0).sum(1) <= 1).all()
    agree = torch.corrcoef(torch.cat([read, z], 1).T)[:3, 3:].abs()
    assert agree.amax(1).min() > 0.99


def test_without_a_price_nothing_tells_the_factors_apart():
    kept, _, theta = made()
    fits = [fit(kept, 3, Fitting(restarts=1, price=0.0), torch.Generator().manual_seed(s))[0] for s in range(4)]
    assert max(f.objective for f in fits) - min(f.objective for f in fits) < 1e-6  # any mixture fits as well
    cosines = [torch.nn.functional.cosine_similarity(f.theta.T[:, None], theta.T[None], dim=2).abs() for f in fits]
    assert sum(c.amax(1).min() < 0.95 for c in cosines) >= 3  # and a random one is what comes out


def test_spares_are_left_out_and_what_is_needed_stays():
    kept, _, _ = made()
    fitting = Fitting(restarts=4)
    best = fit(kept, 5, fitting, torch.Generator().manual_seed(0))[0]
    pruned, dropped = prune(best, kept, fitting)
    assert pruned.theta.shape[1] == 3 and len(dropped) == 2 and max(dropped) < fitting.spare
    assert len(pruned.worth) == 3 and min(pruned.worth) > 0.1
    all_needed, none = prune(pruned, kept, Fitting(spare=0.0))
    assert all_needed.theta.shape[1] == 3 and not none


def test_the_same_seed_gives_the_same_bits():
    kept, _, _ = made(n=60)
    one, two = (fit(kept, 3, Fitting(restarts=2), torch.Generator().manual_seed(3)) for _ in range(2))
    assert all(torch.equal(a.theta, b.theta) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize(("field", "value"), [("most", 0), ("restarts", 0), ("price", 1.0), ("spare", -0.1)])
def test_settings_out_of_range_are_refused(field: str, value: float):
    with pytest.raises(ValueError, match=f"{field}: expected"):
        Fitting(**{field: value})


def test_more_components_than_clips_are_refused():
    kept, _, _ = made(n=2)
    with pytest.raises(ValueError, match="at least 3 clips"):
        fit(kept, 3, Fitting(), torch.Generator())
