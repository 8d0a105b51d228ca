"""Change: a digit steered along a timeline, frame by frame, below the true sequence where that is known."""

import io
import re
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ergosum.studio.pictures import picture
from ergosum.studio.place import Place
from ergosum.studio.table import Event, Fields, Refused, command_line, number_text, written

if TYPE_CHECKING:
    from torch import Tensor

    from ergosum.temporal.control import Bank
    from ergosum.temporal.start import Start

__all__ = ["Change", "ChangeState", "Film", "FilmState", "bank_of"]

CARDS = ("digits-scale", "digits-colour", "digits-angle")
"""The energies to begin with."""
BEGIN = "mnist-1000:7"
"""The start to begin with."""
TIMELINE = "scale:3 colour:6 colour+angle:4"
"""The timeline to begin with."""
FRAMES = 60
"""Frames after the first, at most."""
FILM_FRAMES = 60
"""Frames of a film that is read, at most."""
START = re.compile(r"noise|upload:[0-9a-f]{16}|(?P<source>[a-z][a-z0-9-]*):\d(@\d{1,4})?")


@dataclass(frozen=True)
class ChangeState:
    """Energies by card or run, a start, and a timeline; the others as `ergosum control` has them."""

    cards: tuple[str, ...]
    start: str
    scale: float
    timeline: str
    how: str
    seed: int
    invert: str
    colour: str


class Played(NamedTuple):
    """Frames (time, 3, canvas, canvas), the true ones where they are known, and the side to give them back at."""

    frames: "Tensor"
    truth: "Tensor | None"
    timeline: str
    side: int


class Change:
    """The table of that name."""

    name = "change"
    formats = ("png", "gif", "npz")
    slow = False

    def options(self, place: Place) -> dict[str, Any]:
        """Cards and runs that steer, sources of digits, and the state to begin with."""
        return {
            "cards": place.models.of_system(steers),
            "sources": sources(),
            "begin": {"cards": list(CARDS), "start": BEGIN, "scale": 0.8, "timeline": TIMELINE},
            "most": FRAMES,
        }

    def state(self, told: Mapping[str, Any]) -> ChangeState:
        """The checked state."""
        fields = Fields(told)
        state = ChangeState(
            cards=fields.names("cards", CARDS),
            start=fields.text("start", BEGIN),
            scale=fields.number("scale", 0.8, 0.1, 1.8),
            timeline=fields.text("timeline", TIMELINE, 2000),
            how=fields.choice("how", "split", ("split", "sum")),
            seed=fields.whole("seed", 0, 0, 10**6),
            invert=fields.choice("invert", "auto", ("auto", "yes", "no")),
            colour=fields.choice("colour", "auto", ("auto", "keep", "red")),
        )
        fields.done()
        found = START.fullmatch(state.start)
        if not found or (found["source"] and found["source"] not in sources()):
            known = ", ".join(f"{s}:7" for s in sources())
            raise Refused(f"start: expected a digit such as {known}, a drawing, an image, or noise.", "start")
        return state

    def run(self, state: ChangeState, place: Place) -> Generator[Event, None, Played]:
        """The start, then every frame with the true one."""
        import torch

        from ergosum.data.render import FACTORS
        from ergosum.temporal.steering import true_frames
        from ergosum.temporal.timeline import parse_timeline

        bank = bank_of(state.cards, place)
        try:
            timeline = parse_timeline(state.timeline, bank.factors)
        except ValueError as error:
            raise Refused(str(error), "timeline") from error
        if timeline.frames > FRAMES:
            raise Refused(f"timeline: expected at most {FRAMES} frames, got {timeline.frames}.", "timeline")
        start = start_of(state, bank, place)
        yield Event(
            "start",
            {"factors": list(bank.factors), "side": start.side, "frames": timeline.frames, "notes": list(start.notes)},
        )
        truth = None
        if start.digits is not None and start.factors is not None and set(timeline.factors) <= set(FACTORS):
            truth = true_frames(start.digits, start.factors, timeline).frames[0]
        made: list[Tensor] = []
        try:
            for number, frame in enumerate(bank.frames(start.frame, timeline, state.how)):  # type: ignore[arg-type]
                made.append(frame)
                shown = {"n": number, "image": picture(frame[0])}
                if truth is not None:
                    shown["truth"] = picture(truth[number])
                yield Event("frame", shown)
        except ValueError as error:
            raise Refused(str(error), "timeline") from error
        frames = torch.cat(made)
        if truth is not None and len(frames) > 1:
            error = (frames[1:] - truth[1:]).square().mean().clamp(min=1e-10)
            yield Event("fit", {"psnr": round(float(-10 * error.log10()), 1)})
        return Played(frames, truth, str(timeline), start.side)

    def encode(self, result: Played, suffix: str) -> bytes:
        """The strip, the film, or the numbers."""
        from ergosum.report.animation import save_frames
        from ergosum.report.strips import resized

        if suffix == "npz":
            truth = {} if result.truth is None else {"truth": result.truth.numpy()}
            return arrays(frames=result.frames.numpy(), timeline=result.timeline, **truth)
        return written(lambda path: save_frames(resized(result.frames, result.side), path), f".{suffix}")

    def python(self, state: ChangeState, place: Place) -> str:
        """A script that writes strip.png."""
        start, how = self._start(state, place), "" if state.how == "split" else f", how={state.how!r}"
        others = {"scale": 0.8, "seed": 0, "invert": "auto", "colour": "auto"}
        given = "".join(
            f", {k}={getattr(state, k)!r}" for k, v in others.items() if getattr(state, k) != v or k == "scale"
        )
        cards = [place.models.told(card) for card in state.cards]
        return "\n".join(
            [
                "from ergosum.report.animation import save_frames",
                "from ergosum.report.strips import resized",
                "from ergosum.temporal.control import load_bank",
                "from ergosum.temporal.start import start_frame",
                "",
                f"bank = load_bank({cards!r})",
                f"start = start_frame({start!r}{given}, canvas=bank.canvas)",
                f"frames = bank.play(start.frame, {state.timeline!r}{how})[0]",
                'save_frames(resized(frames, start.side), "strip.png")',
                "",
            ]
        )

    def command(self, state: ChangeState, place: Place) -> str:
        """`ergosum control` with these settings."""
        words = ["ergosum", "control", *(place.models.told(card) for card in state.cards)]
        words += ["--timeline", state.timeline, "--start", self._start(state, place)]
        words += ["--scale", number_text(state.scale)]
        for name, usual in (("seed", 0), ("invert", "auto"), ("colour", "auto"), ("how", "split")):
            if getattr(state, name) != usual:
                words += [f"--{name}", str(getattr(state, name))]
        return command_line(*words, "--out", "strip.png")

    def _start(self, state: ChangeState, place: Place) -> str:
        """What the start is called outside of the studio: an upload by the name of its file."""
        kind, _, key = state.start.partition(":")
        return place.session.upload(key).name if kind == "upload" else state.start


@dataclass(frozen=True)
class FilmState:
    """A film that was uploaded, and the energies to read it with."""

    film: str
    cards: tuple[str, ...]


class Film:
    """A film read back into a timeline, for the table of change."""

    name = "film"
    formats = ()
    slow = True

    def options(self, place: Place) -> dict[str, Any]:
        """Nothing to choose."""
        return {"most": FILM_FRAMES}

    def state(self, told: Mapping[str, Any]) -> FilmState:
        """The checked state."""
        fields = Fields(told)
        state = FilmState(fields.text("film", ""), fields.names("cards", CARDS))
        fields.done()
        return state

    def run(self, state: FilmState, place: Place) -> Generator[Event, None, str]:
        """The film's frames, progress, and the timeline with how sure each part of it is."""
        from ergosum.data.film_file import read_film
        from ergosum.temporal.film.read import read_as

        upload = place.session.upload(state.film)
        bank = bank_of(state.cards, place)
        try:
            film = read_film(upload.path, bank.canvas, most=FILM_FRAMES)
        except OSError as error:
            raise Refused(f"{upload.name}: {getattr(error, 'reason', 'it cannot be read')}.", "start") from error
        yield Event("film", {"frames": [picture(frame) for frame in film.frames]})
        told = [place.models.load(card)[0] for card in state.cards]

        def progress(stage: str, done: int, of: int) -> None:
            place.tell("progress", {"stage": stage, "done": done, "of": of})

        reading = read_as(bank, film.frames, [e.built().data for e in told], progress=progress)  # type: ignore[attr-defined]
        stretches = [
            {
                "first": s.first + 1, "last": s.last + 1, "foreign": s.foreign, "p": round(s.probability, 3),
                "moves": [[f, round(z, 3), round(d, 3)] for f, z, d in zip(s.factors, s.moves, s.sd, strict=True)],
            }
            for s in reading.stretches
        ]  # fmt: skip
        yield Event("read", {"timeline": str(reading.timeline), "stretches": stretches})
        return str(reading.timeline)

    def encode(self, result: str, suffix: str) -> bytes:
        """There is no file of a reading."""
        raise Refused("A reading has no download; its timeline is text.")

    def python(self, state: FilmState, place: Place) -> str:
        """A script that prints the timeline."""
        name, cards = place.session.upload(state.film).name, [place.models.told(card) for card in state.cards]
        return "\n".join(
            [
                "from ergosum.data.film_file import read_film",
                "from ergosum.temporal.control import load_bank",
                "from ergosum.temporal.film.read import read_as",
                "from ergosum.training.runfolder import load_recipe, locate",
                "",
                f"cards = {cards!r}",
                "bank = load_bank(cards)",
                "data = [load_recipe(locate(card)).built().data for card in cards]",
                f"film = read_film({name!r}, bank.canvas)",
                "print(read_as(bank, film.frames, data).timeline)",
                "",
            ]
        )

    def command(self, state: FilmState, place: Place) -> str:
        """`ergosum read` with these settings."""
        cards = (place.models.told(card) for card in state.cards)
        return command_line("ergosum", "read", place.session.upload(state.film).name, "--with", *cards)


def steers(task: str, told: Mapping[str, Any]) -> bool:
    """Whether a recipe's task trains energies of change that can be steered."""
    return task in ("ergosum.temporal.task.Prediction", "ergosum.temporal.discovery.task.Discovery")


def sources() -> list[str]:
    """Sources of held-out digits that need no download."""
    from ergosum.data.sources import SOURCES, at_hand

    return [name for name in SOURCES if at_hand(name)]


def bank_of(cards: Iterable[str], place: Place) -> "Bank":
    """The energies of cards and runs."""
    from ergosum.temporal.control import Bank

    models = []
    for card in cards:
        try:
            model = place.models.load(card)[1]
        except (ValueError, OSError) as error:
            raise Refused(str(error), "cards") from error
        if not hasattr(model, "predict"):
            raise Refused(f"{card} holds no energies of change; choose one that does.", "cards")
        models.append(model)
    try:
        return Bank(models)
    except ValueError as error:
        raise Refused(str(error), "cards") from error


def start_of(state: ChangeState, bank: "Bank", place: Place) -> "Start":
    """The frame to start from."""
    from ergosum.temporal.start import own_start, start_frame

    kind, _, key = state.start.partition(":")
    if kind != "upload":
        try:
            return start_frame(state.start, state.scale, bank.canvas, state.seed)
        except ValueError as error:
            raise Refused(str(error).removeprefix("--"), "start") from error
    try:
        upload = place.session.upload(key)
    except ValueError as error:
        raise Refused(str(error), "start") from error
    try:
        return own_start(upload.path, bank.canvas, state.invert, state.colour)
    except OSError as error:
        raise Refused(f"{upload.name}: {getattr(error, 'reason', 'it cannot be read')}.", "start") from error
    except ValueError as error:
        raise Refused(f"{upload.name}: {str(error).partition('as_digit: ')[2]}", "start") from error


def arrays(**held: Any) -> bytes:
    """Arrays and texts as the bytes of an `.npz`."""
    import numpy as np

    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: np.asarray(value) for name, value in held.items()})  # type: ignore[arg-type]
    return buffer.getvalue()
