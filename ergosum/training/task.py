"""What the machine room knows of a system: a task builds a model, draws batches and gives a loss.

A task of your own needs `build`, `batch` and `loss`; everything else has a default:

    class Denoise(Task):
        def build(self): return MyEnergy()
        def batch(self, n, generator): return Batch(my_images[torch.randint(len(my_images), (n,), generator=generator)])
        def loss(self, model, batch, generator, progress): return Losses(...)

`docs/extending.md` has it whole.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
from torch import Generator, Tensor, nn

from ergosum.part import Part

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["DivergenceError", "Losses", "Samples", "Section", "Shelf", "Table", "Task"]


class DivergenceError(RuntimeError):
    """What a task raises where training has left the range that it can come back from by itself, in words that follow
    "because": "energies of data and samples are ... apart"."""


class Losses(NamedTuple):
    """What a batch comes to.

    Attributes:
        loss: differentiated. error: plain error, shown beside it; None takes the loss. reference: error of what learns
            nothing (copying the input, the mean image), on the same scale; None if there is none. first, last: where
            the model's descent started and ended, (batch, *event), for tasks that watch or continue it. health:
            numbers by name that say how training fares (gap of energies, acceptance), shown beside the error.
    """

    loss: Tensor
    error: Tensor | None = None
    reference: Tensor | None = None
    first: Tensor | None = None
    last: Tensor | None = None
    health: Mapping[str, Tensor] = MappingProxyType({})


class Table(NamedTuple):
    """Rows of numbers for a person: `decimals` names the columns of numbers, `names` those of text before them."""

    names: Sequence[str]
    decimals: Mapping[str, int]
    rows: Sequence[Mapping[str, Any]]
    title: str = ""


class Section(NamedTuple):
    """A part of a report: heading, a sentence, and HTML (see `report.page` for what makes it)."""

    heading: str
    text: str
    html: str


class Samples(NamedTuple):
    """What a task drew from a formula of trained energies.

    Attributes:
        image: a picture of all. numbers: what `--json` prints. tables: for a person. film: frames of how it was drawn,
            where there are any. draws: images (n, C, side, side), where draws are images; captions: what is read in
            each; good: whether that is what the formula asks for, None where nobody can tell. terms: those of the
            formula, as an indented line each, with their mean energies.
    """

    image: "Image.Image"
    numbers: dict[str, Any]
    tables: Sequence[Table] = ()
    film: "Sequence[Image.Image]" = ()
    draws: Tensor | None = None
    captions: Sequence[str] = ()
    good: Sequence[bool | None] = ()
    terms: Sequence[tuple[str, float]] = ()


class Shelf(Protocol):
    """Trained models that ship: what a score compares with and what completes a set of energies."""

    def card(self, name: str) -> nn.Module | None:
        """The model of a card or of a shipped baseline; None if there is none of that name."""
        ...

    def classifier(self, name: str) -> nn.Module:
        """A classifier that ships: `identity` of digits, or `features` of images."""
        ...


class Task:
    """What the training loop, `ergosum score` and `ergosum report` ask of a system.

    A batch is a NamedTuple of tensors with one row per sample, so that several processes can share it out.

    A task whose models have energies that a formula can be sampled from has one method more, which
    `ergosum sample FORMULA --model RUN ...` calls: `sample(models, formula, *, ...) -> Samples`. Its keyword arguments
    are the options of the command that it takes (`n`, `steps`, `shares`, `temperature`, `choose`, `seed`, ...); `start`
    is a function from the side of a frame in pixels to a frame (1, 3, side, side), `runs` what the models are called,
    and `shelf` what ships. Where draws can be watched, `sampling` with the same arguments is a generator that yields
    them on their way and returns what `sample` returns.
    """

    device: str = "cpu"
    """Where batches are wanted; set by the loop before the first one."""
    compared_with: str = "copying"
    """What has the error that `Losses.reference` tells, in words: "error 12 % of copying"."""
    tell: Callable[[str], None] = staticmethod(lambda stage: None)
    """Told of what takes long before the first update; set by whoever shows progress."""
    stages: tuple[float, ...] = ()
    """Shares of training, rising, 0 .. 1 exclusive, at which something else begins to be learned: the learning rate
    goes through its schedule once in each stage."""
    undivided: str = ""
    """Why several processes cannot share a batch out; empty if they can."""

    def build(self) -> nn.Module:
        """The model with random weights from torch's present generator."""
        raise NotImplementedError

    def batch(self, n: int, generator: Generator) -> Any:
        """A batch of n samples."""
        raise NotImplementedError

    def loss(self, model: nn.Module, batch: Any, generator: Generator, progress: float) -> Losses:
        """The model on a batch, or on a process's share of it; `progress` of training is 0 .. 1."""
        raise NotImplementedError

    def ready(self) -> None:
        """Read the data and check what can be checked; called once, before a run folder is made."""

    def settled(self, part: Part[Any]) -> Part[Any]:
        """The part that describes this task, with what the data told, so that a run's recipe can do without them."""
        return part

    def finish(self, model: nn.Module, generator: Generator) -> bool:
        """Measure what the trained model shall carry with it, in its buffers; whether anything was.

        Called once, after the last update, with the running average of the weights, in evaluation mode.
        """
        return False

    def prepare(self, model: nn.Module) -> None:
        """Freeze what shall not learn."""

    def keep(self, batch: Any, last: Tensor) -> None:
        """Take note of where the model ended, for the whole batch; called where `continues` is true."""

    continues: bool = False
    """Whether later batches may start from where the model ended."""

    def locate(self, model: nn.Module, batch: Any) -> str:
        """Which part of the model first leaves the finite numbers: words for an error message."""
        return "the loss"

    def state(self) -> dict[str, Tensor]:
        """All that a resumed run needs beyond weights and generator."""
        return {}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take up a stored state."""

    def about(self) -> dict[str, str]:
        """The data, for `run.json`: `source` and `data_sha256`."""
        return {"source": type(self).__name__, "data_sha256": ""}

    @property
    def source(self) -> str:
        """What the data are called; tasks whose `about` reads all of them tell it without."""
        return self.about()["source"]

    def score(
        self, name: str, model: nn.Module, n: int, seed: int, *, source: str = "", shelf: Shelf | None = None
    ) -> dict[str, Any]:
        """Everything that can be measured on n held-out samples, as `scores.json` keeps it.

        By default the loss's error on batches drawn with a generator of their own, beside its reference.
        """
        model.eval()
        generator = torch.Generator().manual_seed(1_000_000 + seed)
        terms = self.loss(model, self.batch(n, generator), generator, 1.0)
        error = terms.loss if terms.error is None else terms.error
        result = {"card": name, "source": self.source, "n": n, "seed": seed, "error": error.item()}
        return result | ({} if terms.reference is None else {"reference": terms.reference.item()})

    def tables(self, scores: Mapping[str, Any]) -> list[Table]:
        """What `ergosum score` prints of a score."""
        columns = {k: 5 for k in ("error", "reference") if k in scores}
        return [Table(("card",), columns, [scores])] if columns else []

    def report(self, name: str, model: nn.Module, scores: Mapping[str, Any], seed: int, shelf: Shelf) -> list[Section]:
        """Figures and tables of a run's report, beside its training curve and recipe."""
        return []
