r"""What stochastic latents cost: what they tell of an image, and what they tell of each other.

With $q(z|x) = N(\mu(x), \mathrm{diag}\, \sigma^2(x))$ and $q(z) = \mathrm{E}_x\, q(z|x)$ over the data,

$$ \mathrm{E}_x KL(q(z|x) \| N(0, 1)) = I(x; z) + KL(q(z) \| \prod_d q(z_d)) + \sum_d KL(q(z_d) \| N(0, 1)), $$

and weighting the second term, the total correlation, keeps numbers from sharing factors.

Source: Kingma & Welling 2014, appendix B; Chen et al. 2018, equation 2 and appendix C.1 (minibatch-weighted sampling).
"""

import math

from torch import Tensor

from ergosum.shapes import PerSample

__all__ = ["divergence", "total_correlation"]


def divergence(mean: Tensor, log_variance: Tensor) -> PerSample:
    r"""$KL(N(\mu, \sigma^2) \| N(0, 1)) = \frac12 \sum_d (\mu_d^2 + \sigma_d^2 - 1 - \log \sigma_d^2)$ in nats.

    Shape:
        mean, log_variance: (batch, ...). Returns (batch,).
    """
    return (mean.square() + log_variance.exp() - 1 - log_variance).flatten(1).sum(1) / 2


def total_correlation(z: Tensor, mean: Tensor, log_variance: Tensor, rows: int) -> Tensor:
    r"""An estimate of $KL(q(z) \| \prod_d q(z_d))$ in nats, from a batch of `rows` images in all; a number.

    $\log q(z) \approx \log \frac{1}{n B} \sum_j q(z | x_j)$ over the B images of the batch. It is off by a
    constant that depends on n, B and D: use its gradient, and compare values at equal sizes only.

    Args:
        z: drawn from $q(z|x)$. rows: n, size of the dataset.
    Shape:
        z, mean, log_variance: (batch, ...) with the same numbers.
    """
    z, mean, log_variance = (v.flatten(1) for v in (z, mean, log_variance))
    gap = (z[:, None] - mean).square() / log_variance.exp()
    each = -(gap + log_variance + math.log(2 * math.pi)) / 2
    unit = math.log(len(z) * rows)
    joint, alone = each.sum(2).logsumexp(1) - unit, (each.logsumexp(1) - unit).sum(1)
    return (joint - alone).mean()
