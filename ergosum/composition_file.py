"""Compositions as files: formula, weights, units and conditions in one safetensors file.

The tensors are those of safetensors; what they mean is JSON in the header of the same file, under "composition": the
tree of the composition, and for each energy its class and the arguments that it was made with. Nothing in a file is run
as code, and no class is looked up that is neither of this package nor from a module that is imported already or trusted
by name. Values come back equal to the last bit.
"""

import json
import math
import os
from collections.abc import Collection, Mapping
from numbers import Real
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ergosum.compose import And, Named, Not, Or, Scaled
from ergosum.composition_terms import titles
from ergosum.construction import arguments_of, class_called, path_of
from ergosum.energy import Closed, Conditional, Energy, Term, as_energy
from ergosum.files import write_atomically
from ergosum.nodes import silence
from ergosum.part import Part, part_from
from ergosum.weights import Weight

__all__ = ["CompositionFileError", "load", "save"]

FORMAT = 1


class CompositionFileError(ValueError):
    """A composition that cannot be written to a file, or a file that does not hold one that can be read."""


def save(energy: Term, path: str | os.PathLike[str], given: Collection[str] = ()) -> Path:
    """Write a composition to a file, all at once or not at all.

    Stored are the formula with weights, negation strengths, margins and shares, whether numbers or tensors; the
    temperatures; conditions and anchors; and of each energy and each family its class, the arguments of its constructor
    and its weights. A plain callable is stored by its name only, and so is each energy named in `given`.

    Args:
        energy: what to save. path: usually ending in `.safetensors`. given: names of energies that `load` will be
            handed, for those that cannot be made again from their class and arguments, or that should not be stored.
    Returns:
        The path.
    Raises:
        CompositionFileError: if an energy cannot be made again from a file, or two that are stored by name share one.
    """
    target = Path(path)
    writer = _Writer(as_energy(energy), frozenset(given))
    told = {"format": FORMAT, "formula": str(energy), "tree": writer.tree, "modules": writer.modules}
    text = json.dumps(told, allow_nan=False)
    # a file of safetensors may hold no tensor at all, but older readers want one
    tensors = writer.tensors or {"empty": torch.zeros(0)}
    write_atomically(target, lambda part: save_file(tensors, part, metadata={"composition": text}))
    return target


def load(
    path: str | os.PathLike[str], energies: Mapping[str, Term] | None = None, trust: Collection[str] = ()
) -> Energy:
    """The composition in a file, equal to the one that was saved.

    Args:
        path: what `save` wrote. energies: what the file holds by name only. trust: modules, such as "my_package", that
            may be imported to find the classes of energies; those of this package and of modules that are imported
            already need not be named.
    Raises:
        CompositionFileError: if the file holds no composition, an energy or a module is missing, or a class is none of
            energies.
    """
    file = Path(path)
    try:
        with safe_open(file, "pt") as opened:
            text = (opened.metadata() or {}).get("composition")
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}
    except FileNotFoundError:
        raise CompositionFileError(f"{file}: there is no such file.") from None
    except (SafetensorError, OSError) as error:
        raise CompositionFileError(f"{file}: expected a safetensors file that save wrote, got {error}.") from None
    if text is None:
        raise CompositionFileError(f"{file}: the file holds tensors but no composition; save writes both.")
    try:
        told = json.loads(text)
        if told["format"] != FORMAT:
            raise CompositionFileError(
                f"expected format {FORMAT}, got {told['format']}; the file is of another release of ergosum"
            )
        with silence():
            return _Reader(told["modules"], tensors, dict(energies or {}), tuple(trust)).node(told["tree"])
    except CompositionFileError as error:
        raise CompositionFileError(f"{file}: {error}.") from None
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise CompositionFileError(f"{file}: the composition cannot be made again: {error}") from error


class _Writer:
    """The tree, the modules below it, each once, and their tensors, each once."""

    def __init__(self, energy: Energy, given: frozenset[str]) -> None:
        self.given = given
        self.tensors: dict[str, Tensor] = {}
        self.modules: list[dict[str, Any]] = []
        self.places: dict[nn.Module, int] = {}
        self.keys: dict[int, tuple[Tensor, str]] = {}
        self.by_name: dict[str, Energy] = {}
        self.tree = self.node(energy)
        missing = given - set(self.by_name)
        if missing:
            raise CompositionFileError(
                f"save: no energy in {energy} is called {', '.join(sorted(missing))}, as `given` says; it holds "
                f"{', '.join(dict.fromkeys(titles(energy).values()))}."
            )

    def node(self, energy: Energy) -> dict[str, Any]:
        """A composition or a leaf."""
        match energy:
            case And():
                told: dict[str, Any] = {"and": [self.node(part) for part in energy]}
            case Or():
                held = energy.log_weights
                told = {"or": [self.node(part) for part in energy], "given": list(energy.given)}
                told["log_weights"] = self.weight(held) if isinstance(held, Tensor) else list(held)
            case Not():
                told = {"not": self.node(energy.term), "alpha": self.weight(energy.alpha), "margin": energy.margin}
            case Scaled():
                told = {"scaled": self.node(energy.term), "weight": self.weight(energy.weight)}
            case Named():
                told = {"named": self.node(energy.term)}
            case _:
                told = self.leaf(energy)
        return told | {"name": energy.name, "temperature": energy.temperature, "log_z": energy.log_z}

    def leaf(self, energy: Energy) -> dict[str, Any]:
        """An energy that is no composition."""
        name = str(energy)
        if isinstance(energy, Closed) and name not in self.given:
            anchor = None if energy.anchor is None else self.weight(energy.anchor)
            return {"family": self.module(energy.family, name), "c": self.weight(energy.c), "anchor": anchor}
        if energy.remembers and name not in self.given:
            return {"module": self.module(energy, name)}
        if self.by_name.setdefault(name, energy) is not energy:
            raise CompositionFileError(
                f"save: two different energies are called {name!r} and stored by name only; give them different names."
            )
        return {"given": name}

    def module(self, module: nn.Module, name: str) -> int:
        """The place of a module among those that are stored."""
        if module in self.places:
            return self.places[module]
        path, arguments = path_of(type(module)), arguments_of(module)
        if path is None or arguments is None:
            why = "its class is not at the top of a module" if path is None else "it does not know how it was made"
            raise CompositionFileError(
                f"save: {name} ({type(module).__name__}) cannot be made again from a file, because {why}. Store it by "
                f"name: save(energy, path, given=[{name!r}]), then load(path, {{{name!r}: energy}})."
            )
        told = {key: self.argument(value, f"{name}: argument {key!r}") for key, value in arguments.items()}
        floats = {t.dtype for t in [*module.parameters(), *module.buffers()] if t.is_floating_point()}
        self.modules.append({
            "class": path, "arguments": told,
            "evaluating": [key for key, part in module.named_modules() if not part.training],
            "state": {key: self.tensor(value) for key, value in module.state_dict().items()},
            "dtype": str(floats.pop()).removeprefix("torch.") if len(floats) == 1 else None,
            "temperature": getattr(module, "temperature", 1.0),
            "frozen": [key for key, value in module.named_parameters() if not value.requires_grad],
        })  # fmt: skip
        self.places[module] = len(self.modules) - 1
        return self.places[module]

    def argument(self, value: Any, where: str) -> Any:
        """An argument of a constructor."""
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, Real):
            return float(value) if math.isfinite(value) else {"float": str(float(value))}
        if isinstance(value, Tensor):
            return self.weight(value)
        if isinstance(value, Energy | Conditional):
            return {"module": self.module(value, where)}
        if isinstance(value, Part):
            return {"part": value.to_dict()}
        if isinstance(value, list | tuple):
            return {"list" if isinstance(value, list) else "tuple": [self.argument(v, where) for v in value]}
        raise CompositionFileError(
            f"save: {where} is a {type(value).__name__}, which a file does not hold. Store the energy by name: "
            "save(energy, path, given=[name]), then load(path, {name: energy})."
        )

    def weight(self, value: Weight) -> Any:
        """A number, or a tensor and whether it learns."""
        if not isinstance(value, Tensor):
            return value
        return {"tensor": self.tensor(value), "learns": isinstance(value, nn.Parameter)}

    def tensor(self, value: Tensor) -> str:
        """The key of a tensor, one for each tensor however often it is written."""
        if id(value) not in self.keys:
            key = f"tensor.{len(self.keys)}"
            # the tensor is held beside its key, so that no other one can take its identity
            self.keys[id(value)] = (value, key)
            self.tensors[key] = value.detach().cpu().contiguous().clone()
        return self.keys[id(value)][1]


class _Reader:
    """Makes energies of what `_Writer` wrote; each module and each tensor that learns once."""

    def __init__(
        self,
        modules: list[dict[str, Any]],
        tensors: dict[str, Tensor],
        energies: dict[str, Term],
        trust: tuple[str, ...],
    ) -> None:
        self.told, self.tensors, self.energies, self.trust = modules, tensors, energies, trust
        self.made: dict[int, Any] = {}
        self.leaves: dict[Any, Energy] = {}
        self.learning: dict[str, nn.Parameter] = {}

    def node(self, told: dict[str, Any]) -> Energy:
        """A composition or a leaf."""
        if "and" in told:
            made: Energy = And(*map(self.node, told["and"]))
        elif "or" in told:
            weights = told["log_weights"]
            held = weights if isinstance(weights, list) else self.weight(weights)
            made = Or(*map(self.node, told["or"]), log_weights=held)
            if isinstance(held, list):
                made.given = tuple(told["given"])
        elif "not" in told:
            made = Not(self.node(told["not"]), self.weight(told["alpha"]), told["margin"])
        elif "scaled" in told:
            made = Scaled(self.weight(told["weight"]), self.node(told["scaled"]))
        elif "named" in told:
            made = Named(told["name"], self.node(told["named"]))
        elif "given" in told:
            return self.given(told["given"])
        else:
            made = self.leaf(told)
        made.name, made.temperature, made.log_z = told["name"], told["temperature"], told["log_z"]
        return made

    def given(self, name: str) -> Energy:
        """An energy that is stored by its name only."""
        if name not in self.energies:
            raise CompositionFileError(
                f"the energy {name!r} is stored by name only; pass it: load(path, {{{name!r}: energy}})"
            )
        if name not in self.leaves:
            term = self.energies[name]
            self.leaves[name] = term if isinstance(term, Energy) else as_energy(term).named(name)
        return self.leaves[name]

    def leaf(self, told: dict[str, Any]) -> Energy:
        """An energy that is no composition; written twice, it is one."""
        key = json.dumps(told, sort_keys=True)
        if key not in self.leaves:
            if "family" in told:
                anchor = None if told["anchor"] is None else self.weight(told["anchor"])
                self.leaves[key] = Closed(self.module(told["family"]), self.weight(told["c"]), anchor)
            else:
                self.leaves[key] = self.module(told["module"])
        return self.leaves[key]

    def module(self, place: int) -> Any:
        """A module with its weights."""
        if place in self.made:
            return self.made[place]
        told = self.told[place]
        try:
            kind = class_called(told["class"], (Energy, Conditional), self.trust)
        except ValueError as error:
            raise CompositionFileError(str(error)) from None
        arguments = {key: self.argument(value) for key, value in told["arguments"].items()}
        made = kind(*arguments.pop("*", ()), **arguments)
        if told["dtype"] is not None:
            made.to(getattr(torch, told["dtype"]))
        made.load_state_dict({key: self.tensors[value] for key, value in told["state"].items()}, assign=True)
        for key, value in made.named_parameters():
            value.requires_grad_(key not in told["frozen"])
        for key, part in made.named_modules():
            part.training = key not in told["evaluating"]
        made.temperature = told["temperature"]
        self.made[place] = made
        return made

    def argument(self, told: Any) -> Any:
        """An argument of a constructor."""
        if not isinstance(told, dict):
            return told
        ((kind, value), *_) = told.items()
        match kind:
            case "float":
                return float(value)
            case "module":
                return self.module(value)
            case "part":
                return part_from(value, self.trust)
            case "list":
                return [self.argument(v) for v in value]
            case "tuple":
                return tuple(self.argument(v) for v in value)
        return self.weight(told)

    def weight(self, told: Any) -> Any:
        """A number or a tensor; one that learns is the same parameter wherever it is written."""
        if not isinstance(told, dict):
            return told
        key = told["tensor"]
        if not told["learns"]:
            return self.tensors[key]
        return self.learning.setdefault(key, nn.Parameter(self.tensors[key]))
