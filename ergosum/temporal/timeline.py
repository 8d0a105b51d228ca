"""Timelines: which energies act on which steps, as data and as text.

`scale:3 colour:9` lets the scale energy act for three frames, then the colour energy for nine. `colour+scale:4` moves
two factors at once, `angle:-5` goes backwards, and `angle*0.5:6` takes half a level per frame. In `still:2` nothing
moves for two frames; no factor can have that name.
"""

import re
from dataclasses import dataclass
from decimal import Decimal

__all__ = ["STILL", "Segment", "Timeline", "parse_timeline"]

STILL = "still"
"""What a segment is called in which no factor moves."""

_PART = re.compile(r"^(?P<moves>[^:]+):(?P<count>[+-]?\d+)$")
_MOVE = re.compile(r"^(?P<factor>[A-Za-z_][\w-]*?)(\*(?P<speed>[+-]?\d*\.?\d+))?$")


@dataclass(frozen=True)
class Segment:
    """Factors that act together for some frames.

    Args:
        moves: levels per frame of each factor, signed; empty where the frame stands still.
        frames: how many frames, >= 1.
    """

    moves: tuple[tuple[str, float], ...]
    frames: int

    def __str__(self) -> str:
        if not self.moves:
            return f"{STILL}:{self.frames}"
        backwards = all(speed < 0 for _, speed in self.moves)
        sign = -1 if backwards else 1
        names = [
            f if speed * sign == 1 else f"{f}*{Decimal(repr(speed * sign)).normalize():f}" for f, speed in self.moves
        ]
        return f"{'+'.join(names)}:{sign * self.frames}"


@dataclass(frozen=True)
class Timeline:
    """Segments one after the other."""

    segments: tuple[Segment, ...]

    @property
    def frames(self) -> int:
        """Number of frames generated."""
        return sum(s.frames for s in self.segments)

    @property
    def factors(self) -> tuple[str, ...]:
        """Factors used, in order of appearance."""
        return tuple(dict.fromkeys(f for s in self.segments for f, _ in s.moves))

    def __iter__(self):  # noqa: ANN204
        """Moves of each frame in turn, as a dict factor -> levels."""
        for segment in self.segments:
            for _ in range(segment.frames):
                yield dict(segment.moves)

    def __str__(self) -> str:
        return " ".join(map(str, self.segments))


def parse_timeline(text: str, known: tuple[str, ...] | None = None) -> Timeline:
    """The timeline written as `text`.

    Args:
        known: factors that there are energies for; None accepts any.
    Raises:
        ValueError: naming the part that cannot be read, the factor that is unknown, or a count that makes no sense.

    Example:
        >>> str(parse_timeline("scale:3 colour+angle:-4"))
        'scale:3 colour+angle:-4'
    """
    segments = []
    for part in text.replace(",", " ").split():
        match = _PART.match(part)
        if not match:
            raise ValueError(
                f"Timeline: cannot read {part!r}; expected FACTOR:FRAMES, such as scale:3 or colour+angle:4."
            )
        count = int(match["count"])
        if count == 0:
            raise ValueError(f"Timeline: {part!r} has no frames; expected a count other than 0 (negative = backwards).")
        if match["moves"] == STILL:
            if count < 0:
                raise ValueError(f"Timeline: {part!r} has no direction; expected a count >= 1 of still frames.")
            segments.append(Segment((), count))
            continue
        moves: dict[str, float] = {}
        for token in match["moves"].split("+"):
            move = _MOVE.match(token)
            if not move:
                raise ValueError(f"Timeline: cannot read {token!r} in {part!r}; expected a factor, such as colour.")
            factor = move["factor"]
            if factor == STILL:
                raise ValueError(f"Timeline: {STILL!r} stands alone, such as still:2; got it in {part!r}.")
            if known is not None and factor not in known:
                raise ValueError(f"Timeline: unknown factor {factor!r}; the energies given are {', '.join(known)}.")
            if factor in moves:
                raise ValueError(f"Timeline: {factor!r} is named twice in {part!r}.")
            moves[factor] = float(move["speed"] or 1) * (1 if count > 0 else -1)
        segments.append(Segment(tuple(moves.items()), abs(count)))
    if not segments:
        raise ValueError("Timeline: expected at least one part, such as 'scale:3 colour:9'; got nothing.")
    return Timeline(tuple(segments))
