"""Formulas: compositions as text and back.

    male & (smiling | ~glasses)        0.5*ring & ~0.3*box          0.25:red | 0.75:blue

From tightest to loosest: `~` and `weight*`, then `&`, then `|`. `~[m] a` is the negation bounded with margin m. Before
a term of `|`, `w:` is its weight $w_i$, also written `exp(-1.5):`; where none is written it is chosen as `Or` says.
Nothing is evaluated as code: a formula may hold the names it is given and the signs above, nothing else. Weights that
differ from sample to sample are shown as how many they are, and cannot be read back; `composition_file` keeps them.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from math import exp, isfinite, log
from typing import Any, NamedTuple

from torch import Tensor

from ergosum import compose
from ergosum.energy import Energy, Term, as_energy
from ergosum.weights import shown

__all__ = ["FormulaError", "UnknownNameError", "numbered", "parse_formula", "show"]

DEPTH = 100
"""Nested parentheses and signs beyond which a formula is refused."""

_NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_NAME = r"[^\W\d]\w*(?:[.-]\w+)*"
_NUMBERED = re.compile(rf"({_NAME})\(\s*([-+]?{_NUMBER}(?:\s*,\s*[-+]?{_NUMBER})*)\s*\)(?!\s*:)")
_TOKEN = re.compile(
    rf"\s*(?:(?P<weight>exp\(\s*[-+]?{_NUMBER}\s*\)\s*:)|(?P<number>{_NUMBER})"
    rf"|(?P<numbered>{_NUMBERED.pattern})|(?P<name>{_NAME})|(?P<sign>[&|~*:()\[\]-]))"
)


class FormulaError(ValueError):
    """A formula that cannot be read; the message points at the character."""


class UnknownNameError(FormulaError):
    """A formula with names that stand for nothing.

    Attributes:
        names: all of these, in the order of the formula. known: what could have been named.
    """

    def __init__(self, message: str, names: Sequence[str], known: Sequence[str]) -> None:
        super().__init__(message)
        self.names, self.known = tuple(names), tuple(known)


def parse_formula(
    text: str, names: Mapping[str, Term], negation: Callable[..., Energy] = compose.negation
) -> Energy:  # fmt: skip
    """The composition that a formula describes.

    The energies that it is given are left as they are: a name is that of a term in this composition, not one that the
    energy itself takes on. A name of a disjunction or of a negation is written out as the formula that it stands for.

    Args:
        names: what each name stands for; the terms are called by it. negation: what `~` and `~[m]` build, of a term
            and a keyword `margin`.
    Raises:
        FormulaError: with the offending character marked; also where the composition itself is refused, e.g. a weight
            that overflows. UnknownNameError, which is one, for names that are not given.

    Example:
        >>> a, b = (as_energy(lambda x, m=m: (x - m).square().sum(1) / 2) for m in (0.0, 1.0))
        >>> print(parse_formula("a & ~(0.5*b)", {"a": a, "b": b}))
        a & 0.5*~b
        >>> parse_formula("a & (b | )", {"a": a, "b": b})
        Traceback (most recent call last):
            ...
        ergosum.formula.FormulaError: Formula: expected a name, a number, '~' or '(', got ')' at character 10:
          a & (b | )
                   ^
    """
    return _Reader(text, names, negation).whole()


def numbered(text: str) -> list[tuple[str, tuple[float, ...]]]:
    """What a formula tells in numbers, such as `at(0.3,0.6)`: names with their numbers, each once.

    Such a term is looked up among the names as it is written without blanks, numbers in their shortest form.

    Example:
        >>> numbered("red & at(0.30, 0.6)")
        [('at', (0.3, 0.6))]
    """
    found = [(m[1], tuple(map(float, m[2].split(",")))) for m in _NUMBERED.finditer(text)]
    return list(dict.fromkeys(found))


def _as_name(text: str) -> str:
    """`at(0.30, 0.6)` as `at(0.3,0.6)`."""
    ((name, numbers),) = numbered(text)
    return f"{name}({','.join(f'{n:g}' for n in numbers)})"


def show(energy: Energy) -> str:
    """The formula of a composition; `parse_formula` reads it back.

    The text tells the energy, not its units: what `in_units` did is written as the weight 1 / T that it put there.
    """
    return _show(energy, 0)


def _show(energy: Energy, tightness: int) -> str:
    """Text that may stand where an operator of `tightness` takes an operand: 0 top, 1 in |, 2 in &, 3 after a sign."""
    if isinstance(energy, compose.Or):
        text = " | ".join(w + _show(part, 1) for part, w in zip(energy, _weights(energy), strict=True))
        return f"({text})" if tightness > 0 else text
    if isinstance(energy, compose.And):
        if len(energy) == 1:
            return _show(energy.parts[0], tightness)
        text = " & ".join(_show(part, 2) for part in energy)
        return f"({text})" if tightness > 1 else text
    if isinstance(energy, compose.Not):
        factor = shown(energy.alpha)
        factor = "" if factor == "1.0" else f"{factor}*"
        margin = "" if energy.margin is None else f"[{energy.margin!r}]"
        return f"{factor}~{margin}{_show(energy.term, 3)}"
    if isinstance(energy, compose.Scaled):
        return f"{shown(energy.weight)}*{_show(energy.term, 3)}"
    return energy.name or type(energy).__name__.strip("_").lower()


def _weights(energy: compose.Or) -> Sequence[str]:
    """The prefix of each term of a disjunction."""
    held = energy.log_weights
    if isinstance(held, Tensor):
        return [f"<{len(w)} weights>:" if w.ndim else _weight(w.item()) for w in held]
    return [_weight(w) for w in (energy.given if len(energy) > 1 else held)]


def _weight(log_weight: float | None) -> str:
    """The prefix of a term in a disjunction: w if it can be written in short without loss, else exp(log w)."""
    if log_weight is None:
        return ""
    short = f"{exp(log_weight):.6g}" if abs(log_weight) < 700 else "0"
    exact = float(short) > 0 and log(float(short)) == log_weight
    return f"{short}:" if exact else f"exp({log_weight!r}):"


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


class _Reader:
    """Recursive descent over the tokens, the last of which marks the end."""

    def __init__(self, text: str, names: Mapping[str, Term], negation: Callable[..., Energy]) -> None:
        self.text, self.names, self.negation, self.place = text, names, negation, 0
        self.tokens: list[_Token] = []
        self.energies: dict[str, Energy] = {}
        end, length = 0, len(text.rstrip())
        while end < length:
            found = _TOKEN.match(text, end)
            if found is None:
                at = length - len(text[end:length].lstrip())
                raise self.refused(at, f"cannot read {text[at]!r}")
            kind = found.lastgroup or ""
            read = _as_name(found[kind]) if kind == "numbered" else found[kind]
            self.tokens.append(_Token("name" if kind == "numbered" else kind, read, found.start(kind)))
            end = found.end()
        self.tokens.append(_Token("end", "", length))

    @property
    def now(self) -> _Token:
        """The present token."""
        return self.tokens[self.place]

    def refused(self, position: int, what: str) -> FormulaError:
        """An error that points at a character."""
        line = "".join(" " if c.isspace() else c for c in self.text)
        return FormulaError(f"Formula: {what} at character {position + 1}:\n  {line}\n  {' ' * position}^")

    def expected(self, what: str) -> FormulaError:
        """An error that points at the present token."""
        came = "but the formula ends" if self.now.kind == "end" else f"got {self.now.text!r}"
        return self.refused(self.now.position, f"expected {what}, {came}")

    def take(self, sign: str) -> bool:
        """Whether the present token is the sign; then go past it."""
        here = self.now.kind == "sign" and self.now.text == sign
        self.place += here
        return here

    def need(self, sign: str) -> None:
        """Go past a sign that must be here."""
        if not self.take(sign):
            raise self.expected(repr(sign))

    def built(self, position: int, make: Callable[..., Energy], *args: Any, **options: Any) -> Energy:
        """What `make` makes; if it refuses, an error that points at what it was to be made of."""
        try:
            return make(*args, **options)
        except ValueError as error:
            raise self.refused(position, str(error).rstrip(".")) from None

    def whole(self) -> Energy:
        """The formula, to its end."""
        parts = self.disjunction(0)
        if self.now.kind != "end":
            raise self.expected("'&', '|' or the end")
        return self.built(self.tokens[0].position, compose.conjunction, *parts)

    def disjunction(self, depth: int) -> list[Energy]:
        """conjunction {'|' conjunction}, each with an optional weight; the terms of a lone conjunction stay apart."""
        start, weight, first = self.now.position, self.weight(), self.conjunction(depth)
        if weight is None and self.now.text != "|":
            return first
        weights, parts = [weight], [self.built(start, compose.conjunction, *first)]
        while self.take("|"):
            here = self.now.position
            weights.append(self.weight())
            parts.append(self.built(here, compose.conjunction, *self.conjunction(depth)))
        return [self.built(start, compose.disjunction, *parts, log_weights=weights)]

    def weight(self) -> float | None:
        """`0.3:` or `exp(-1.2):` as a log-weight, or None."""
        if self.now.kind == "weight":
            log_weight = float(self.now.text.partition("(")[2].partition(")")[0])
            if not isfinite(log_weight):
                raise self.expected("a finite weight")
            self.place += 1
            return log_weight
        if self.now.kind == "number" and self.tokens[self.place + 1].text == ":":
            weight = self.positive()
            self.need(":")
            return log(weight)
        return None

    def positive(self) -> float:
        """A number > 0."""
        number = float(self.now.text)
        if not (isfinite(number) and number > 0):
            raise self.expected("a finite weight > 0")
        self.place += 1
        return number

    def conjunction(self, depth: int) -> list[Energy]:
        """factor {'&' factor}."""
        parts = self.factor(depth)
        while self.take("&"):
            parts += self.factor(depth)
        return parts

    def factor(self, depth: int) -> list[Energy]:
        """number '*' factor, '~' factor, '(' disjunction ')', or a name."""
        if depth > DEPTH:
            raise self.expected(f"at most {DEPTH} nested signs")
        start = self.now.position
        if self.take("~"):
            margin = self.margin()
            inside = self.built(start + 1, compose.conjunction, *self.factor(depth + 1))
            return [self.built(start, self.negation, inside, margin=margin)]
        if self.take("("):
            inside = self.disjunction(depth + 1)
            self.need(")")
            return inside
        if self.now.kind == "number":
            number = self.positive()
            self.need("*")
            return [self.built(start, compose.scaled, number, part) for part in self.factor(depth + 1)]
        return [self.leaf()]

    def margin(self) -> float | None:
        """`[m]` after `~`."""
        if not self.take("["):
            return None
        sign = -1 if self.take("-") else 1
        if self.now.kind != "number":
            raise self.expected("a margin, a number")
        value = sign * float(self.now.text)
        self.place += 1
        self.need("]")
        return value

    def leaf(self) -> Energy:
        """A name."""
        name = self.now.text
        if self.now.kind != "name":
            raise self.expected("a name, a number, '~' or '('")
        if name not in self.names:
            known = ", ".join(self.names) or "none"
            told = self.refused(self.now.position, f"no energy is called {name!r} (known: {known})")
            others = dict.fromkeys(t.text for t in self.tokens if t.kind == "name" and t.text not in self.names)
            raise UnknownNameError(str(told), tuple(others), tuple(self.names))
        if name not in self.energies:
            self.energies[name] = _called(name, self.names[name])
        self.place += 1
        return self.energies[name]


def _called(name: str, term: Term) -> Energy:
    """What a name stands for, printed by that name."""
    if not isinstance(term, Energy):
        return as_energy(term).named(name)
    inside = term.term if isinstance(term, compose.Named) else term
    # these two merge with what stands around them, and would not under a name
    if isinstance(inside, compose.Or | compose.Not) or str(inside) == name:
        return inside
    return compose.Named(name, inside)
