"""Every setting of an experiment, declared once, without importing torch.

Command-line flags, help texts, YAML recipes and the `recipe.json` of a run folder are all derived from these frozen
dataclasses. The docstring under a field gives its meaning, unit and range, and `__post_init__` enforces the range.
"""

from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

__all__ = [
    "EXPERTS",
    "FACTORS",
    "RIVALS",
    "DataSettings",
    "DescentSettings",
    "Experiment",
    "ModelSettings",
    "ObjectiveSettings",
    "OptimiserSettings",
    "PictureSettings",
    "RivalSettings",
    "from_dict",
    "to_dict",
]

FACTORS = ("colour", "angle", "scale")
"""The factors of change, in the order in which factor tensors hold them: hue [rad], angle [degrees], scale [1]."""
EXPERTS = ("experts", "refined")
"""Energies whose curvature is known, so that one Newton step lands on the minimum of their Gaussian part."""
RIVALS = ("vae", "factor_vae", "info_gan", "monet", "slot_attention", "additive")
"""Published models of single pictures that decomposers are compared with."""


def _require(condition: bool, name: str, expected: str, got: object) -> None:
    if not condition:
        raise ValueError(f"{name}: expected {expected}, got {got!r}.")


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Which sequences to learn from."""

    source: str = "digits"
    """Sources joined by '+': `digits` (bundled), `mnist` or `fashion` (`ERGOSUM_DATA`, cache or download), a folder."""
    factors: tuple[str, ...] = FACTORS
    """Factors that may change along a sequence: any of colour, angle, scale."""
    nuisance: tuple[str, ...] = ()
    """Factors that differ between sequences (random, frozen within one) without ever moving."""
    mode: Literal["lockstep", "single", "sparse", "laplace"] = "single"
    """How factors move: all together (`lockstep`), one at a time (`single`), a random subset with random sign and
    speed (`sparse`), or all with zero-inflated Laplace increments (`laplace`)."""
    start: Literal["fixed", "random"] = "random"
    """Start at the first level (`fixed`) or anywhere (`random`)."""
    signs: Literal["forward", "both"] = "both"
    """Whether a factor may also run backwards."""
    continuous: bool = True
    """Random starts off the grid of levels and fractional moves (True), or on the grid with whole moves (False)."""
    lag: int = 1
    """Frames between the input and the frame to predict, l = 1 .. 17."""
    scale_min: float = 0.4
    """Smallest scale used, 0.1 .. 1.8 (1 = the digit as it came)."""
    scale_max: float = 1.8
    """Largest scale used, 0.1 .. 1.8."""
    canvas: int = 28
    """Side of a frame in pixels: a multiple of 4, 28 or 56 in the reports."""
    limit: int = 0
    """Use only the first `limit` training digits of each source; 0 uses all."""

    def __post_init__(self) -> None:
        _require(set(self.factors) <= set(FACTORS) and len(self.factors) > 0, "data.factors", f"some of {FACTORS}",
                 self.factors)  # fmt: skip
        _require(set(self.nuisance) <= set(FACTORS), "data.nuisance", f"some of {FACTORS}", self.nuisance)
        _require(1 <= self.lag <= 17, "data.lag", "an integer 1 .. 17", self.lag)
        _require(0.1 <= self.scale_min < self.scale_max <= 1.8, "data.scale_min/max", "0.1 <= min < max <= 1.8",
                 (self.scale_min, self.scale_max))  # fmt: skip
        _require(self.canvas >= 12 and self.canvas % 4 == 0, "data.canvas", "a multiple of 4, at least 12", self.canvas)
        _require(self.limit >= 0, "data.limit", "an integer >= 0", self.limit)


@dataclass(frozen=True, kw_only=True)
class PictureSettings:
    """Which single pictures to take apart (task = recomposition)."""

    name: str = "tetrominoes"
    """Data set: tetrominoes, shapes, scenes, toy, lighting, still; digits, mnist, fashion (one to a picture); a folder
    of pictures; or several joined by '+', such as digits+fashion, of which each picture is from one."""
    side: int = 36
    """Side of a picture in pixels: a multiple of 4."""
    fewest: int = 3
    """Fewest objects in a picture, >= 1."""
    most: int = 3
    """Most objects in a picture, >= fewest."""
    count: int = 20_000
    """Training pictures, drawn once and stored as 8-bit files, >= 1."""

    def __post_init__(self) -> None:
        _require(self.side >= 12 and self.side % 4 == 0, "pictures.side", "a multiple of 4, at least 12", self.side)
        _require(1 <= self.fewest <= self.most, "pictures.fewest/most", "1 <= fewest <= most",
                 (self.fewest, self.most))  # fmt: skip
        _require(self.count >= 1, "pictures.count", "an integer >= 1", self.count)


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """Encoder and bank of energies."""

    energy: Literal["transport", "unet", "residual", "comet", "experts", "refined"] = "transport"
    """Energy network: `transport` (quadratic around a transported anchor), `unet` (inner product with a U-Net),
    `residual` (Table 2 of the founding report), `comet` (as its released code), `experts` (Gaussian experts) or
    `refined` (experts and a convolutional energy that sees the picture)."""
    anchor: Literal["none", "start", "step"] = "start"
    """What the energy is conditioned on beside z: nothing, E(x; z); the frame the prediction starts from, E(x; x_t, z);
    or the frame where each step starts, E(x; x_n, z)."""
    encoder: Literal["strided", "residual", "pair", "comet", "pyramid", "recurrent", "slots"] = "strided"
    """Encoder: `strided` (fast), `residual` (Table 1 of the founding report), `pair`, which sees both frames; of single
    pictures: `comet`, `pyramid` (that of most VAEs), `recurrent` (COMET's for objects), or `slots` (components that
    compete for places)."""
    components: tuple[str, ...] = ("colour",)
    """Names of the K energies; for unsupervised runs any names, such as one, two, three."""
    tied: bool = False
    """One network for all K components (True) or one each (False)."""
    latent: int = 16
    """Numbers per latent z_k, >= 1."""
    width: int = 32
    """Channels at full feature resolution, >= 4."""
    position: bool = False
    """Show the comet energy where its pixels are, which makes objects of parts of the picture."""
    globals: int = 1
    """Components of a slots encoder that have no place: what is everywhere, >= 0."""
    noisy: bool = False
    """Latents (of slots, contents) are normal: the encoder gives mean and spread, and training draws them."""
    grey: float = 0.0
    """What means of experts without places begin at, 0 (black) .. 1 (white)."""
    moves: bool = True
    """Append the signed number of levels to move to each z_k. Without it z_k comes from the frame alone."""

    def __post_init__(self) -> None:
        _require(len(self.components) > 0, "model.components", "at least one name", self.components)
        _require(len(set(self.components)) == len(self.components), "model.components", "different names",
                 self.components)  # fmt: skip
        _require(self.latent >= 1, "model.latent", "an integer >= 1", self.latent)
        _require(0 <= self.grey <= 1, "model.grey", "a number 0 .. 1", self.grey)
        _require(self.width >= 4, "model.width", "an integer >= 4", self.width)
        _require(
            not (self.energy == "transport" and self.anchor == "none"), "model.anchor",
            "'start' or 'step' for the transport energy, which moves the pixels of its anchor", self.anchor,
        )  # fmt: skip
        _require(self.energy in EXPERTS or self.encoder != "slots", "model.encoder",
                 "'slots' with energy 'experts' or 'refined' only", self.encoder)  # fmt: skip
        _require(not self.noisy or self.encoder in ("comet", "pyramid", "slots"), "model.noisy",
                 "False, or an encoder comet, pyramid or slots", self.encoder)  # fmt: skip
        _require(self.encoder != "slots" or self.latent >= 4, "model.latent", "at least 4: 3 numbers are the place",
                 self.latent)  # fmt: skip
        _require(self.tied or self.encoder not in ("slots", "recurrent"), "model.tied",
                 "True with an encoder whose components are exchangeable", self.tied)  # fmt: skip
        _require(self.globals >= 0, "model.globals", "an integer >= 0", self.globals)


@dataclass(frozen=True, kw_only=True)
class DescentSettings:
    """The inner minimisation x <- x - h grad_x E(x)."""

    steps: int = 4
    """N, steps per predicted frame, >= 1."""
    training_steps: int = 0
    """Steps taken in training; 0 takes `steps`. One is enough where step size 1 lands on a bowl's minimum."""
    step_size: float = 1.0
    """h > 0 (for a learned step size: its start)."""
    learned: bool = False
    """Learn the step size."""
    ramp: bool = False
    """Let step n ask for the move n/N, so that each step has its own place on the way."""
    clamp: bool = True
    """Keep x in [0, 1] after the last step."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise added in each step, >= 0."""
    gradient: Literal["last", "truncated", "window", "full"] = "last"
    """Through which steps the loss is differentiated: the last alone, each step alone, the last `window`, or all."""
    window: int = 2
    """Steps kept with gradient = window, >= 1."""

    def __post_init__(self) -> None:
        _require(self.steps >= 1, "descent.steps", "an integer >= 1", self.steps)
        _require(self.step_size > 0, "descent.step_size", "a number > 0", self.step_size)
        _require(self.noise >= 0, "descent.noise", "a number >= 0", self.noise)
        _require(self.window >= 1, "descent.window", "an integer >= 1", self.window)


@dataclass(frozen=True, kw_only=True)
class ObjectiveSettings:
    """What a prediction is compared with."""

    on: Literal["last", "all", "path"] = "last"
    """Loss on the last step, on every step against the target, or on every step against its own frame t + l n/N."""
    norm: Literal["l2", "l1"] = "l2"
    """Squared or absolute pixel error."""
    decorrelation: float = 0.0
    """Weight of the squared correlations between latents of different components, >= 0."""
    ramp: float = 0.0
    """Part of training in which the prices of area and indecision grow from nothing, 0 .. 1."""
    divergence: float = 0.0
    """Price of a nat of divergence of noisy latents from a standard normal, in mean squared error, >= 0."""
    correlation: float = 0.0
    """Price of a nat of total correlation between all numbers of noisy latents, in mean squared error, >= 0."""
    area: float = 0.0
    """Price of a picture that is held by components with a place alone, in mean squared error, >= 0 (slots only)."""
    indecision: float = 0.0
    """Price of a nat of doubt about whose each pixel is, in mean squared error, >= 0 (experts only)."""
    persistent: float = 0.0
    """Probability that a start frame is the model's own earlier prediction (persistent roll-outs), 0 .. 0.99."""

    def __post_init__(self) -> None:
        _require(self.decorrelation >= 0, "objective.decorrelation", "a number >= 0", self.decorrelation)
        for name in ("area", "indecision", "divergence", "correlation"):
            _require(getattr(self, name) >= 0, f"objective.{name}", "a number >= 0", getattr(self, name))
        _require(0 <= self.ramp <= 1, "objective.ramp", "0 .. 1", self.ramp)
        _require(0 <= self.persistent < 1, "objective.persistent", "0 <= p < 1", self.persistent)


@dataclass(frozen=True, kw_only=True)
class RivalSettings:
    """Sizes and weights of a published model of pictures (predictor = vae .. additive)."""

    latent: int = 64
    """Numbers per latent, D >= 1."""
    components: int = 1
    """Latents per picture, K: 1 for vae, factor_vae and info_gan, at least 2 for monet and slot_attention."""
    width: int = 32
    """Channels of the finest features, >= 4."""
    likelihood: Literal["gaussian", "bernoulli"] = "gaussian"
    """Of the pixels of vae and factor_vae: a Gaussian of variance 1/2, or Bernoulli's."""
    beta: float = 1.0
    """Weight of the divergence of latents from their prior, in nats, >= 0."""
    gamma: float = 10.0
    """Weight of the total correlation of factor_vae, or of the divergence of monet's masks, in nats, >= 0."""
    information: float = 1.0
    """Weight of how well info_gan reads its codes back, >= 0."""

    def __post_init__(self) -> None:
        _require(self.latent >= 1, "rival.latent", "an integer >= 1", self.latent)
        _require(self.components >= 1, "rival.components", "an integer >= 1", self.components)
        _require(self.width >= 4, "rival.width", "an integer >= 4", self.width)
        for name in ("beta", "gamma", "information"):
            _require(getattr(self, name) >= 0, f"rival.{name}", "a number >= 0", getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class OptimiserSettings:
    """The outer minimisation."""

    iterations: int = 1000
    """Updates of the weights, >= 1."""
    batch: int = 64
    """Pairs of frames per update, >= 1."""
    rate: float = 2e-3
    """Peak learning rate of AdamW, > 0."""
    schedule: Literal["cosine", "onecycle", "constant"] = "cosine"
    """Learning rate over time, after a linear warm-up of 100 updates at most."""
    clip: float = 1.0
    """Largest norm of the gradient of 100 times the loss; 0 switches clipping off."""
    ema: float = 0.998
    """Decay of the running average of the weights, which is what is scored and saved; 0 switches it off."""
    precision: Literal["32", "bf16"] = "32"
    """Arithmetic of the networks: 32-bit, or bfloat16 autocast with 32-bit weights."""

    def __post_init__(self) -> None:
        _require(self.iterations >= 1, "optimiser.iterations", "an integer >= 1", self.iterations)
        _require(self.batch >= 1, "optimiser.batch", "an integer >= 1", self.batch)
        _require(self.rate > 0, "optimiser.rate", "a number > 0", self.rate)
        _require(self.clip >= 0, "optimiser.clip", "a number >= 0", self.clip)
        _require(0 <= self.ema < 1, "optimiser.ema", "0 <= decay < 1", self.ema)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One run: what it learns from, what it learns, and how."""

    name: str = "experiment"
    """Name of the run, used for its folder and card."""
    shows: str = ""
    """One line: what the run shows."""
    cost: str = ""
    """One line: what it costs, and on what machine that was measured."""
    task: Literal["prediction", "recomposition"] = "prediction"
    """Predict the frame `data.lag` later from a frame, or recompose a picture from noise."""
    predictor: Literal[
        "decomposer", "feedforward", "vae", "factor_vae", "info_gan", "monet", "slot_attention", "additive"
    ] = "decomposer"
    """The system itself, or what it is compared with: of sequences the feed-forward U-Net of equal size, of pictures
    beta-VAE, FactorVAE, InfoGAN, MONet, slot attention, or an autoencoder with additive decoders."""
    data: DataSettings = field(default_factory=DataSettings)
    """Sequences, for prediction."""
    pictures: PictureSettings = field(default_factory=PictureSettings)
    """Pictures, for recomposition."""
    model: ModelSettings = field(default_factory=ModelSettings)
    """Networks."""
    descent: DescentSettings = field(default_factory=DescentSettings)
    """Inner descent."""
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    """Objective."""
    rival: RivalSettings = field(default_factory=RivalSettings)
    """Published model, for a predictor that is one."""
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    """Optimiser."""
    warm_start: str = ""
    """Run folder or card whose weights to start from; empty starts from random weights."""
    active: tuple[str, ...] = ()
    """Components that act and learn; empty: all."""
    freeze_encoder: bool = False
    """Keep the encoder's weights as they are at the start."""
    seed: int = 0
    """Seed of weights, data and noise."""
    threads: int = 1
    """CPU threads."""
    devices: int = 1
    """Processes (CPU) or GPUs of this machine; under `torchrun` it is what that started, on any number of machines."""
    checkpoint_every: int = 200
    """Updates between checkpoints, >= 1."""
    log_every: int = 10
    """Updates between lines of metrics.jsonl, >= 1."""

    def __post_init__(self) -> None:
        _require(
            self.devices >= 1 and self.optimiser.batch % self.devices == 0, "optimiser.batch",
            f"a multiple of devices = {self.devices}", self.optimiser.batch,
        )  # fmt: skip
        _require(
            self.devices == 1 or not self.undivided, "devices",
            "1 with descent.noise, objective.decorrelation, slots, noisy latents or a published model, which depend on "
            "how a batch is shared out", self.devices,
        )  # fmt: skip
        _require(not self.objective.area or self.model.encoder == "slots", "objective.area", "0 without slots",
                 self.objective.area)  # fmt: skip
        _require(not self.objective.indecision or self.model.energy in EXPERTS, "objective.indecision",
                 "0 without experts", self.objective.indecision)  # fmt: skip
        _require(not (self.objective.divergence or self.objective.correlation) or self.model.noisy, "model.noisy",
                 "True with objective.divergence or correlation", self.model.noisy)  # fmt: skip
        self._check_rival()
        _require(
            self.predictor == "decomposer" or not (self.active or self.freeze_encoder), "predictor",
            "'decomposer' with active components or a frozen encoder", self.predictor,
        )  # fmt: skip
        _require(
            self.objective.on == "last" or (self.descent.training_steps or self.descent.steps) > 1, "objective.on",
            "'last' where training takes one step (descent.training_steps = 1)", self.objective.on,
        )  # fmt: skip
        _require(
            self.objective.on == "last" or self.descent.gradient != "last", "descent.gradient",
            "truncated, window or full with a loss on several steps", self.descent.gradient,
        )  # fmt: skip
        _require(
            not self.descent.ramp or self.model.moves, "descent.ramp",
            "False where energies are not told the move (model.moves)", self.descent.ramp,
        )  # fmt: skip
        _require(self.threads >= 1, "threads", "an integer >= 1", self.threads)
        _require(self.checkpoint_every >= 1, "checkpoint_every", "an integer >= 1", self.checkpoint_every)
        _require(self.log_every >= 1, "log_every", "an integer >= 1", self.log_every)
        _require(
            set(self.active) <= set(self.model.components), "active", f"some of {self.model.components}", self.active
        )
        _require(
            not self.model.moves or self.model.encoder != "pair", "model.moves",
            "False with a pair encoder, which reads the move off the two frames", self.model.moves,
        )  # fmt: skip
        _require(
            self.task == "prediction" or self.predictor in RIVALS
            or ((self.model.tied or self.model.energy == "experts") and self.model.anchor == "none"
                and not self.model.moves),
            "task", "tied energies (or experts) without moves and anchor for recomposition", self.task,
        )  # fmt: skip
        _require(
            self.task == "recomposition" or self.model.encoder not in ("comet", "pyramid", "recurrent", "slots"),
            "model.encoder", "strided, residual or pair for prediction", self.model.encoder,
        )  # fmt: skip
        unseen = self.data.signs == "both" and not self.model.moves and self.model.encoder != "pair"
        _require(
            self.task == "recomposition" or not unseen, "data.signs",
            "'forward' when neither the move nor the second frame is given to the encoder", self.data.signs,
        )  # fmt: skip

    @property
    def undivided(self) -> bool:
        """Whether what is learnt depends on how a batch is shared out, so that one process must have all of it."""
        drawn = self.descent.noise or self.model.noisy or self.predictor in RIVALS
        return bool(drawn or self.objective.decorrelation or self.model.encoder == "slots")

    def _check_rival(self) -> None:
        of_pictures, k = self.predictor in RIVALS, self.rival.components
        _require(
            self.predictor == "decomposer" or of_pictures == (self.task == "recomposition"), "predictor",
            "'decomposer' or 'feedforward' for prediction, anything but 'feedforward' for recomposition",
            self.predictor,
        )  # fmt: skip
        if not of_pictures:
            return
        _require(self.pictures.side % 16 == 0, "pictures.side", "a multiple of 16 for a published model",
                 self.pictures.side)  # fmt: skip
        _require(k == 1 or self.predictor not in ("vae", "factor_vae", "info_gan"), "rival.components",
                 "1 for vae, factor_vae and info_gan, which have one latent", k)  # fmt: skip
        _require(k > 1 or self.predictor not in ("monet", "slot_attention"), "rival.components",
                 "at least 2 for monet and slot_attention", k)  # fmt: skip

    def but(self, **changes: Any) -> "Experiment":
        """A copy with changes; a dict given for a section changes only the fields it names."""
        merged = {
            k: replace(getattr(self, k), **v) if isinstance(v, dict) else v for k, v in changes.items()
        }  # fmt: skip
        return replace(self, **merged)


def to_dict(settings: Any) -> dict[str, Any]:
    """Plain nested dict of a settings object, ready for JSON."""
    return asdict(settings)


def from_dict(kind: type, values: dict[str, Any]) -> Any:
    """The settings object of class `kind` written by `to_dict`.

    Raises:
        ValueError: if `values` has a field that `kind` has not, or a value out of range.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{kind.__name__}: expected fields by name, got {type(values).__name__}.")
    hints = get_type_hints(kind)
    unknown = sorted(set(values) - {f.name for f in fields(kind)})
    if unknown:
        raise ValueError(f"{kind.__name__}: unknown field(s) {', '.join(unknown)}.")
    made: dict[str, Any] = {}
    for name, value in values.items():
        hint = hints[name]
        if is_dataclass(hint) and not is_dataclass(value):
            made[name] = from_dict(hint, value)  # type: ignore[arg-type]
        else:
            made[name] = tuple(value) if isinstance(value, list) else value
            choices = get_args(hint) if get_origin(hint) is Literal else (made[name],)
            _require(made[name] in choices, name, f"one of {choices}", value)
    try:
        return kind(**made)
    except TypeError as error:
        raise ValueError(f"{kind.__name__}: a value has the wrong type ({error}).") from error
