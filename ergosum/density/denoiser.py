r"""Denoisers that people have already, as score-only energies over noise levels.

A diffusion model's network sees $x_t = \alpha_t x_0 + s_t \varepsilon$ and a time t, and predicts the noise, the data,
or a mixture of both. In units of the data the same x is $x_\sigma = x_t / \alpha_t = x_0 + \sigma \varepsilon$ with
$\sigma = s_t / \alpha_t$, so that any schedule is a way from the noise level sigma to (alpha, t), and any prediction a
way to $\hat x_0$. The score follows by Tweedie's formula, $\nabla \log p_\sigma(x) = (\hat x_0 - x) / \sigma^2$.

A member has a gradient and no value: `&` and weights compose it, `samplers.NoiseLadder` samples it, and what needs the
value refuses it with a reason.

    family = from_denoiser(unet, VariancePreserving.linear(1000), "epsilon", conditional=True, none=10)
    both = family.prior() & 2.0 * family(torch.tensor(3)) & ~(2.0 * family.prior())

Source: Song et al. 2021 (schedules, variance preserving and exploding); Ho, Jain, Abbeel 2020 (epsilon and its linear
schedule); Nichol & Dhariwal 2021 (cosine schedule); Salimans & Ho 2022 (v).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from ergosum.energy import Conditional, Energy
from ergosum.shapes import Batch, PerSample
from ergosum.weights import tiled

__all__ = [
    "PREDICTIONS", "Denoiser", "Moment", "Schedule", "VarianceExploding", "VariancePreserving", "from_denoiser",
    "from_diffusers", "of_data", "of_noise", "of_velocity",
]  # fmt: skip


class Moment(NamedTuple):
    """A noise level as a network knows it: sigma in units of the data, alpha that x is multiplied by, and the time."""

    sigma: float
    alpha: float
    time: float


@runtime_checkable
class Schedule(Protocol):
    """How noise levels are told to a network; yours needs these."""

    @property
    def lowest(self) -> float:
        """The lowest level."""
        ...

    @property
    def highest(self) -> float:
        """The highest level."""
        ...

    def at(self, sigma: float) -> Moment:
        """The moment of a noise level."""
        ...


def expect_level(schedule: Schedule, sigma: float) -> float:
    """The level, if the schedule has it; 0 stands for the lowest.

    Raises:
        ValueError: if it has not.
    """
    slack = 1e-6
    if sigma == 0:
        return schedule.lowest
    if not schedule.lowest * (1 - slack) <= sigma <= schedule.highest * (1 + slack):
        raise ValueError(
            f"sigma: expected a noise level from {schedule.lowest:.4g} to {schedule.highest:.4g}, in units of the "
            f"data, which the denoiser's schedule has, got {sigma:g}."
        )
    return min(max(sigma, schedule.lowest), schedule.highest)


class VariancePreserving:
    r"""$x_t = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \varepsilon$, at steps t = 0 .. T - 1.

    Between two steps, log sigma is interpolated and the network is told a fractional time; `steps` gives the levels of
    whole ones.

    Args:
        kept: $\bar\alpha_t$, (T,), the share of the data's variance that is left after each step, falling, in (0, 1).
            A last step that keeps nothing has no finite level, and is left out.
    Raises:
        ValueError: if they do not fall within (0, 1).
    """

    def __init__(self, kept: Tensor) -> None:
        kept = torch.as_tensor(kept).detach().double().cpu()
        if kept.ndim == 1 and len(kept) > 2 and kept[-1] <= 1e-10:
            kept = kept[:-1]
        falls = kept.ndim == 1 and len(kept) > 1 and bool((kept.diff() < 0).all())
        if not falls or not 0 < kept[-1].item() <= kept[0].item() < 1:
            raise ValueError(
                "VariancePreserving: expected shares of the data's variance that fall from step to step within (0, 1), "
                f"(T,) with T >= 2, such as a scheduler's alphas_cumprod, got shape {tuple(kept.shape)}."
            )
        self.log_sigma = ((1 - kept) / kept).log() / 2
        self.lowest, self.highest = self.log_sigma[0].exp().item(), self.log_sigma[-1].exp().item()

    @classmethod
    def linear(cls, steps: int = 1000, first: float = 1e-4, last: float = 0.02) -> "VariancePreserving":
        """Variances of steps that grow evenly from `first` to `last`."""
        return cls((1 - torch.linspace(first, last, steps, dtype=torch.float64)).cumprod(0))

    @classmethod
    def cosine(cls, steps: int = 1000, offset: float = 0.008, most: float = 0.999) -> "VariancePreserving":
        """Shares that fall as a squared cosine, no step's variance above `most`."""
        place = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
        kept = ((place + offset) / (1 + offset) * math.pi / 2).cos().square()
        return cls((1 - (1 - kept[1:] / kept[:-1]).clamp(max=most)).cumprod(0))

    def at(self, sigma: float) -> Moment:
        """The moment, between two steps."""
        target = math.log(expect_level(self, sigma))
        after = int(torch.searchsorted(self.log_sigma, target).clamp(1, len(self.log_sigma) - 1))
        low, high = self.log_sigma[after - 1].item(), self.log_sigma[after].item()
        return Moment(math.exp(target), (1 + math.exp(2 * target)) ** -0.5, after - 1 + (target - low) / (high - low))

    def steps(self, n: int) -> tuple[float, ...]:
        """Levels of n whole steps, from the last to the first, evenly spaced in time: what a `NoiseLadder` takes."""
        if not 2 <= n <= len(self.log_sigma):
            raise ValueError(f"VariancePreserving.steps: expected 2 .. {len(self.log_sigma)} steps, got {n}.")
        places = torch.linspace(len(self.log_sigma) - 1, 0, n).round().long()
        return tuple(self.log_sigma[places].exp().tolist())


@dataclass(frozen=True, kw_only=True)
class VarianceExploding:
    r"""$x_\sigma = x_0 + \sigma \varepsilon$, and a time that is a function of the level.

    Args:
        lowest, highest: levels the network was trained at, in units of the data. time: what it is told of a level:
            sigma itself, `math.log`, or another function.
    Raises:
        ValueError: for levels out of order.
    """

    lowest: float
    highest: float
    time: Callable[[float], float] = float

    def __post_init__(self) -> None:
        if not 0 < self.lowest < self.highest < math.inf:
            raise ValueError(f"VarianceExploding: expected 0 < lowest < highest, got {self.lowest} and {self.highest}.")

    def at(self, sigma: float) -> Moment:
        """The moment."""
        sigma = expect_level(self, sigma)
        return Moment(sigma, 1.0, self.time(sigma))


Prediction = Callable[[Tensor, Tensor, Moment], Tensor]
"""What a network gave at x_sigma (in units of the data) and the moment -> the data, x_0."""


def of_noise(given: Tensor, x: Tensor, moment: Moment) -> Tensor:
    """x_0 from the noise: $x_\\sigma - \\sigma \\hat\\varepsilon$."""
    return x - moment.sigma * given


def of_data(given: Tensor, x: Tensor, moment: Moment) -> Tensor:
    """x_0 as it is given."""
    return given


def of_velocity(given: Tensor, x: Tensor, moment: Moment) -> Tensor:
    """x_0 from $v = \\alpha \\varepsilon - s x_0$ of a schedule that preserves variance: $\\alpha x_t - s v$."""
    return moment.alpha**2 * x - moment.alpha * moment.sigma * given


PREDICTIONS: Mapping[str, Prediction] = {"epsilon": of_noise, "x0": of_data, "v": of_velocity}
"""Predictions by the names that they go by."""


class Denoiser(Conditional):
    """A family of score-only energies from a denoiser, see `from_denoiser`.

    Members stand at the lowest level of the schedule; `at_noise(sigma)` takes them, and every composition of them, to
    another.

    Args:
        network: (x_t, t) or (x_t, t, c) -> its prediction, like x; t is (batch,). schedule, prediction: its own.
        conditional: whether it takes conditions. none: the condition that stands for no condition, if it has one.
        dims: dimensions of one condition without its batch, 0 for labels. sigma: the level.
    Raises:
        ValueError: from members, for a level that the schedule has not, or where the network does not take x or gives
            something else than a prediction like x.
    """

    def __init__(
        self, network: Callable[..., Tensor], schedule: Schedule, prediction: Prediction = of_noise,
        conditional: bool = False, none: Any = None, dims: int = 0, sigma: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.network, self.schedule, self.prediction = network, schedule, prediction
        self.conditional, self.none, self.condition_dims = conditional, none, dims
        self.sigma = expect_level(schedule, sigma)

    @property
    def lowest(self) -> float:
        """The schedule's lowest level."""
        return self.schedule.lowest

    @property
    def highest(self) -> float:
        """The schedule's highest level."""
        return self.schedule.highest

    def forward(self, c: Tensor | Any = None, anchor: Tensor | None = None) -> Any:
        """The member with a condition: one for all samples, or one for each; without conditions, the only one."""
        if self.conditional != (c is not None):
            raise ValueError(
                "Denoiser: the network takes conditions, close the family with one: family(c)."
                if self.conditional
                else "Denoiser: the network takes no conditions; its only member is family.prior()."
            )
        return Denoised(self, None if c is None else torch.as_tensor(c))

    def bind(self, z: Tensor, anchor: Tensor | None) -> Energy:
        """One condition for each sample."""
        return self(z)

    def prior(self) -> "Denoised":
        """The member without a condition.

        Raises:
            ValueError: of a network with conditions, none of which is none.
        """
        if self.conditional and self.none is None:
            raise ValueError(
                "Denoiser: no condition of the network stands for none; pass none= (often the number of classes)."
            )
        return self(self.none).named("prior")

    def at_noise(self, sigma: float) -> "Denoiser":
        """The family with noise of deviation sigma added."""
        return self.moved(sigma if self.sigma == self.lowest else math.hypot(self.sigma, sigma))

    def moved(self, sigma: float) -> "Denoiser":
        """The family at a level."""
        return Denoiser(
            self.network, self.schedule, self.prediction, self.conditional, self.none, self.condition_dims, sigma
        )

    def denoised(self, x: Batch, c: Tensor | None) -> Batch:
        """$\\hat x_0$ of samples at the family's level, one condition for each."""
        moment = self.schedule.at(self.sigma)
        time = torch.full((len(x),), moment.time, dtype=x.dtype, device=x.device)
        told = () if c is None else (c.to(x.device),)
        try:
            given = self.network(moment.alpha * x, time, *told)
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"Denoiser: the network does not take x of shape {tuple(x.shape)}: {reason}") from error
        if not isinstance(given, Tensor) or given.shape != x.shape:
            came = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
            raise ValueError(
                f"Denoiser: expected a prediction of the shape of x, {tuple(x.shape)}, got {came}; wrap the network in "
                "a function that gives the prediction alone (no learned variance, no record)."
            )
        return self.prediction(given, x, moment)


class Denoised(Energy):
    """A member of a `Denoiser`: a gradient, and no value."""

    has_value = False
    remembers = False
    c: Tensor | None

    def __init__(self, family: Denoiser, c: Tensor | None) -> None:
        super().__init__()
        self.family = family
        self.register_buffer("c", c)

    def forward(self, x: Batch) -> PerSample:
        """Raises: there is no value."""
        raise ValueError(f"{self}: a denoiser has no energy value, only a score; use a NoiseLadder without an accept "
                         "test and without weights, or Langevin.")  # fmt: skip

    def value_and_gradient(self, x: Batch, create_graph: bool = False) -> tuple[PerSample, Batch]:
        """Raises: there is no value, ask for the `gradient`."""
        return self(x), self.gradient(x, create_graph)

    def gradient(self, x: Batch, create_graph: bool = False) -> Batch:
        """Minus the score, $(x - \\hat x_0) / \\sigma^2$."""
        with torch.set_grad_enabled(create_graph):
            return (x - self.family.denoised(x, self.conditions(len(x)))) / self.family.sigma**2

    def conditions(self, batch: int) -> Tensor | None:
        """One condition for each of a batch."""
        if self.c is None:
            return None
        if self.c.ndim == self.family.condition_dims:
            return self.c.expand(batch, *self.c.shape)
        return tiled(self.c, batch, "Denoiser", "condition")

    def at_noise(self, sigma: float) -> Energy:
        """The member at another level."""
        made = Denoised(self.family.at_noise(sigma), self.c)
        return made.named(self.name)


def from_denoiser(
    network: Callable[..., Tensor], schedule: Schedule, prediction: str | Prediction = "epsilon", *,
    conditional: bool = False, none: Any = None, dims: int = 0,
) -> Denoiser:  # fmt: skip
    """A family of score-only energies from a denoiser that is trained already; arguments as of `Denoiser`.

    Args:
        prediction: epsilon (the noise), x0 (the data) or v, or a function like those of `PREDICTIONS`.
    Raises:
        ValueError: for a prediction of another name. TypeError: if the schedule or the network is none.

    Example:
        >>> noise = lambda x, t: t[:, None] * x / (1 + t.square()[:, None])
        >>> family = from_denoiser(noise, VarianceExploding(lowest=0.01, highest=10.0))
        >>> family.prior().at_noise(3.0).gradient(torch.ones(1, 1))
        tensor([[0.1000]])
    """
    if not isinstance(schedule, Schedule) or not callable(network):
        came = [type(v).__name__ for v in (network, schedule)]
        raise TypeError(f"from_denoiser: expected a network and a schedule such as VariancePreserving, got "
                        f"{came[0]} and {came[1]}.")  # fmt: skip
    if isinstance(prediction, str):
        if prediction not in PREDICTIONS:
            raise ValueError(f"prediction: expected one of {', '.join(PREDICTIONS)}, got {prediction!r}.")
        prediction = PREDICTIONS[prediction]
    return Denoiser(network, schedule, prediction, conditional, none, dims)


DIFFUSERS = {"epsilon": "epsilon", "sample": "x0", "v_prediction": "v"}
"""What diffusers' schedulers call predictions."""


def from_diffusers(unet: Any, scheduler: Any, none: Any = None) -> Denoiser:
    """A family from a U-Net and the scheduler it was trained with, as the package diffusers has them.

    Args:
        unet: `UNet2DModel` or another whose call gives a record with `sample`; with class embeddings it is conditional.
        scheduler: one with `alphas_cumprod`, such as `DDPMScheduler`. none: class that stands for no class.
    Raises:
        ValueError: if the scheduler is of another kind.
    """
    kept, config = getattr(scheduler, "alphas_cumprod", None), getattr(scheduler, "config", {})
    named = config.get("prediction_type", "epsilon") if hasattr(config, "get") else None
    if kept is None or named not in DIFFUSERS:
        raise ValueError(
            "from_diffusers: expected a scheduler with alphas_cumprod and a prediction_type of "
            f"{', '.join(DIFFUSERS)}, got {type(scheduler).__name__} with {named!r}; for another, write the schedule "
            "and use from_denoiser."
        )
    about = getattr(unet, "config", {})
    classes = about.get("num_class_embeds") or about.get("class_embed_type") if hasattr(about, "get") else None
    return from_denoiser(
        _Sample(unet), VariancePreserving(kept), DIFFUSERS[named], conditional=classes is not None, none=none
    )


class _Sample(torch.nn.Module):
    """A U-Net of diffusers that gives its sample alone."""

    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, x: Tensor, time: Tensor, c: Tensor | None = None) -> Tensor:
        return self.unet(x, time, **({} if c is None else {"class_labels": c})).sample
