"""Decompose: two images taken apart into components, and what is chosen of both added up again."""

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ergosum.studio.change import arrays
from ergosum.studio.pictures import as_url, picture
from ergosum.studio.place import Place
from ergosum.studio.table import Event, Fields, Refused, command_line, written

if TYPE_CHECKING:
    from torch import Tensor

    from ergosum.decomposition.model import ImageDecomposer
    from ergosum.decomposition.selection import Choice
    from ergosum.decomposition.task import OfImages

__all__ = ["Decompose", "DecomposeState", "Parts", "PartsState"]

CARD = "scenes-objects"
"""The card to begin with."""
IMAGE = re.compile(r"held-out:\d{1,4}|upload:[0-9a-f]{16}")


@dataclass(frozen=True)
class PartsState:
    """A decomposer by card or run, an image, and the seed of the noise that descents start from."""

    model: str
    image: str
    seed: int


@dataclass(frozen=True)
class DecomposeState:
    """A decomposer, two images, and what is chosen of them (see `decomposition/selection.py`)."""

    model: str
    a: str
    b: str
    take: str
    seed: int


class Added(NamedTuple):
    """Two images (1, 3, side, side) with their latents, what is chosen of them, the sum, and its masks."""

    state: DecomposeState
    model: "ImageDecomposer"
    images: "tuple[Tensor, Tensor]"
    latents: "tuple[Tensor, Tensor]"
    choices: "Sequence[Choice]"
    made: "Tensor"
    masks: "Tensor"


class Parts:
    """An image taken apart, for the table of decomposing."""

    name = "parts"
    formats = ()
    slow = False

    def options(self, place: Place) -> dict[str, Any]:
        """Nothing to choose."""
        return {}

    def state(self, told: Mapping[str, Any]) -> PartsState:
        """The checked state."""
        fields = Fields(told)
        state = PartsState(fields.text("model", CARD), _image(fields, "image"), fields.whole("seed", 0, 0, 10**6))
        fields.done()
        return state

    def run(self, state: PartsState, place: Place) -> Generator[Event, None, None]:
        """The image, then its components one by one, with their masks and places."""
        from torch import Generator as Randomness

        from ergosum.decomposition.recombination import masks_of, recompose
        from ergosum.decomposition.selection import place_of
        from ergosum.metrics.error import mse, psnr

        task, model = _decomposer(state.model, place)
        image = _pixels(state.image, task, place, "image")
        yield Event(
            "image", {"image": picture(image[0]), "components": list(model.components), "globals": model.globals}
        )
        latents = _latents(state, model, image, place)
        masks = masks_of(model, latents, image)
        whole = recompose(model, latents, Randomness().manual_seed(state.seed))
        yield Event("whole", {"image": picture(whole[0]), "psnr": round(float(psnr(mse(whole, image))), 1)})
        for k, name in enumerate(model.components):
            alone = recompose(model, latents, Randomness().manual_seed(state.seed), [k])
            share = float(masks[0, k].mean())
            told = {"k": k, "name": name, "share": round(share, 4), "place": place_of(model, latents, k)}
            yield Event("part", {**told, "image": _cut(alone[0], masks[0, k])})
        return

    def encode(self, result: None, suffix: str) -> bytes:
        """There is no file of it."""
        raise Refused("Parts have no download of their own.")

    def python(self, state: PartsState, place: Place) -> str:
        """A script that writes sheet.png with the components."""
        model, image = place.models.told(state.model), _outside(state.image, place)
        return "\n".join(
            [
                *_opening(model),
                "from ergosum.decomposition.figures import components_sheet",
                "from torch import Generator",
                "",
                f"task, model = load_decomposer({model!r})",
                f"image = {_read_as(image)}",
                f"sheet = components_sheet(model, image, Generator().manual_seed({state.seed}))",
                'save_strip(sheet, "sheet.png")',
                "",
            ]
        )

    def command(self, state: PartsState, place: Place) -> str:
        """`ergosum decompose` of the image; of a held-out one, of eight of them."""
        words = ["ergosum", "decompose", place.models.told(state.model)]
        if state.image.startswith("upload:"):
            words += ["--images", _outside(state.image, place)]
        return command_line(*words, "--seed", str(state.seed), "--out", "parts")


class Decompose:
    """The table of that name."""

    name = "decompose"
    formats = ("png", "gif", "npz")
    slow = False

    def options(self, place: Place) -> dict[str, Any]:
        """Decomposers with several components, and the state to begin with."""
        models = place.models.of_system(_decomposes)
        first = CARD if CARD in models else next(iter(models), "")
        return {"models": models, "begin": {"model": first, "a": "held-out:0", "b": "held-out:3"}}

    def state(self, told: Mapping[str, Any]) -> DecomposeState:
        """The checked state."""
        fields = Fields(told)
        state = DecomposeState(
            model=fields.text("model", CARD),
            a=_image(fields, "a"),
            b=_image(fields, "b"),
            take=" ".join(fields.text("take", "", 2000).split()),
            seed=fields.whole("seed", 0, 0, 10**6),
        )
        fields.done()
        return state

    def run(self, state: DecomposeState, place: Place) -> Generator[Event, None, Added]:
        """The sum, with its masks."""
        from torch import Generator as Randomness

        from ergosum.decomposition.figures import masks_shown
        from ergosum.decomposition.selection import added, parse_choices

        task, model = _decomposer(state.model, place)
        try:
            choices = parse_choices(state.take, model.components)
        except ValueError as error:
            raise Refused(str(error), "take") from error
        one, two = (_pixels(name, task, place, which) for name, which in ((state.a, "a"), (state.b, "b")))
        yield Event("begun", {"choices": len(choices)})
        a, b = (
            _latents(PartsState(state.model, name, state.seed), model, image, place)
            for name, image in ((state.a, one), (state.b, two))
        )
        try:
            made, masks = added(model, a, b, choices, Randomness().manual_seed(state.seed))
        except ValueError as error:
            raise Refused(str(error), "take") from error
        shown = masks_shown(masks, made)
        yield Event("sum", {"image": picture(made[0]), "masks": picture(shown[0])})
        return Added(state, model, (one, two), (a, b), choices, made, masks)

    def encode(self, result: Added, suffix: str) -> bytes:
        """The sheet, the sum as it grows by one component after the other, or the numbers."""
        import torch
        from torch import Generator as Randomness

        from ergosum.decomposition.selection import added, sum_sheet
        from ergosum.report.animation import save_animation, save_strip

        one, two = result.images
        if suffix == "npz":
            return arrays(
                a=one[0].numpy(), b=two[0].numpy(), sum=result.made[0].numpy(), masks=result.masks[0].numpy(),
                take=result.state.take,
            )  # fmt: skip
        if suffix == "gif":
            ends = range(1, len(result.choices) + 1)
            noise = [Randomness().manual_seed(result.state.seed) for _ in ends]
            grown = [
                added(result.model, *result.latents, result.choices[:k], g)[0] for k, g in zip(ends, noise, strict=True)
            ]
            zoom = max(1, 256 // one.shape[-1])
            return written(lambda path: save_animation(torch.cat(grown), path, zoom=zoom, milliseconds=600), ".gif")
        sheet = sum_sheet(one, two, result.choices, result.made, result.masks)
        return written(lambda path: save_strip(sheet, path), ".png")

    def python(self, state: DecomposeState, place: Place) -> str:
        """A script that writes sum.png."""
        model = place.models.told(state.model)
        one, two = (_outside(name, place) for name in (state.a, state.b))
        return "\n".join(
            [
                *_opening(model),
                "from ergosum.decomposition.selection import choices_sheet, parse_choices",
                "",
                f"task, model = load_decomposer({model!r})",
                f"one = {_read_as(one)}",
                f"two = {_read_as(two)}",
                f"choices = parse_choices({state.take!r}, model.components)",
                f'save_strip(choices_sheet(model, one, two, choices, seed={state.seed}), "sum.png")',
                "",
            ]
        )

    def command(self, state: DecomposeState, place: Place) -> str:
        """`ergosum recombine` with these settings."""
        words = ["ergosum", "recombine", place.models.told(state.model), "--start"]
        words += [_outside(state.a, place), _outside(state.b, place), "--take", state.take]
        return command_line(*words, "--seed", str(state.seed), "--out", "sum.png")


def _decomposes(task: str, told: Mapping[str, Any]) -> bool:
    """Whether a recipe trains a decomposer of several components."""
    return task == "ergosum.decomposition.task.Recomposition" and len(told["model"].get("components", "123")) > 1


def _image(fields: Fields, name: str) -> str:
    image = fields.text(name, "held-out:0")
    if not IMAGE.fullmatch(image):
        raise Refused(f"{name}: expected a held-out image by its number, such as held-out:3, or an upload.", name)
    return image


def _decomposer(name: str, place: Place) -> "tuple[OfImages, ImageDecomposer]":
    from ergosum.decomposition.task import decomposer_of

    try:
        experiment, model = place.models.load(name)
        return decomposer_of(name, experiment.built(), model)
    except (ValueError, OSError) as error:
        raise Refused(str(error), "model") from error


def _pixels(name: str, task: "OfImages", place: Place, field: str) -> "Tensor":
    """An image (1, 3, side, side) by its name."""
    from ergosum.data.folder import load_square

    kind, _, key = name.partition(":")
    if kind == "held-out":
        return task.held_out_image(int(key))
    try:
        upload = place.session.upload(key)
    except ValueError as error:
        raise Refused(str(error), field) from error
    try:
        return load_square(upload.path, task.side).image
    except OSError as error:
        raise Refused(f"{upload.name}: {getattr(error, 'reason', 'it cannot be read')}.", field) from error


def _latents(state: PartsState, model: "ImageDecomposer", image: "Tensor", place: Place) -> "Tensor":
    """Latents (1, K, D) of an image, kept for the session."""
    from torch import Generator as Randomness

    from ergosum.decomposition.recombination import encode_best

    key = f"latents {state!r}"
    latents = place.session.result(key)
    if latents is None:
        latents = encode_best(model, image, Randomness().manual_seed(state.seed))
        place.session.remember(key, latents)
    return latents


def _cut(alone: "Tensor", share: "Tensor") -> str:
    """A component's image, transparent where it does not count."""
    import torch
    from PIL import Image

    whole = torch.cat([alone, share[None]]).clamp(0, 1)
    return as_url(Image.fromarray((255 * whole).round().byte().movedim(0, 2).numpy(), "RGBA"))


def _outside(name: str, place: Place) -> str:
    """What an image is called outside of the studio: an upload by the name of its file."""
    kind, _, key = name.partition(":")
    return place.session.upload(key).name if kind == "upload" else name


def _opening(model: str) -> list[str]:
    return [
        "from ergosum.data.folder import load_square",
        "from ergosum.decomposition.task import load_decomposer",
        "from ergosum.report.animation import save_strip",
    ]


def _read_as(image: str) -> str:
    kind, _, number = image.partition(":")
    return f"task.held_out_image({number})" if kind == "held-out" else f"load_square({image!r}, task.side).image"
