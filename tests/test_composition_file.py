"""A composition comes back from a file as it was, and nothing in a file is trusted."""

import json
import pickle
import sys
import textwrap
from importlib import import_module

import pytest
import torch
from safetensors.torch import safe_open, save_file
from torch import nn

from ergosum.compose import disjunction, leaves, negation, terms
from ergosum.composition_file import CompositionFileError, load, save
from ergosum.energies.box import Box
from ergosum.energies.experts import Experts
from ergosum.energies.funnel import Funnel
from ergosum.energies.gaussian import Gaussian
from ergosum.energies.masks import Masked
from ergosum.energies.mixture import Mixture
from ergosum.energies.ring import Ring
from ergosum.energies.sat import Clauses
from ergosum.energies.well import DoubleWell
from ergosum.energy import Closed, Conditional, Energy, as_energy
from ergosum.formula import parse_formula
from ergosum.nets.comet import CometEnergy
from ergosum.nets.experts import GlobalExperts
from ergosum.nets.refined import RefinedExperts
from ergosum.part import Part

X = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Family(Conditional):
    """$|x - z w|^2 b / 2$, optionally from an anchor."""

    def __init__(self, width, *, anchored=False, shape=(1, 2)):
        super().__init__()
        self.anchored, self.shape = anchored, shape
        self.w = nn.Parameter(torch.linspace(0.5, 1.5, 2 * width).view(width, 2))
        self.norm = nn.BatchNorm1d(2, affine=False)

    def bind(self, z, anchor):
        own = z @ self.w if anchor is None else z @ self.w + anchor
        return as_energy(lambda x: (self.norm(x) - own).square().sum(1) / 2)


class Mine(Energy):
    """A user's own energy with a user's own parent."""

    def __init__(self, *scales, power=2.0):
        super().__init__()
        self.power = power
        self.scale = nn.Parameter(torch.tensor(scales, dtype=torch.float64))

    def forward(self, x):
        return (self.scale * x.abs().pow(self.power)).sum(1)


class MineToo(Mine):
    def __init__(self, scale):
        super().__init__(scale, 2 * scale, power=3.0)


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


G = Gaussian(vector(1, -2), torch.tensor([[2, 0.9], [0.9, 0.5]], dtype=torch.float64)).named("g")
R = Ring(2.0, 0.3).double().named("r")
FORMS = {
    "Gaussian": lambda: G,
    "Gaussian, diagonal": lambda: Gaussian(vector(1, -2), vector(1 / 3, 2)),
    "Mixture": lambda: Mixture(torch.stack([vector(-2, 0), vector(1, 1)]), vector(0.3, 0.7), vector(1, 3)),
    "Mixture, ring": lambda: Mixture.ring().double(),
    "Ring": lambda: R,
    "Funnel": lambda: Funnel(2, sigma=1.1).double(),
    "DoubleWell": lambda: DoubleWell(2.0, 3.0, dimensions=2, tilt=1.5).double(),
    "Box": lambda: Box(vector(-1, 0), vector(2, 0.5), 0.3),
    "Experts": lambda: Experts(vector(1, -1), vector(4, 1 / 3)),
    "Masked": lambda: Masked(vector(1, 0.3), vector(2, 3)),
    "Clauses": lambda: Clauses([[1, 2, -2], [-1, 2, 2]], 2),
    "Mine": lambda: Mine(1 / 3, 2.0, power=1.5),
    "MineToo": lambda: MineToo(0.7),
}


def tempered(energy, temperature):
    energy.temperature = temperature
    return energy


def family(*args, **kwargs):
    torch.manual_seed(0)
    made = Family(*args, **kwargs).double().eval()
    with torch.no_grad():
        made.w += torch.rand(made.w.shape).double()
        made.norm.running_mean += 0.3
    made.temperature = 0.25
    return made


def of_family():
    made = family(3)
    one, other = made(vector(1, 2, 3)).named("one"), made(torch.rand(6, 3).double())
    return (one & 0.5 * other & ~(0.1 * one)).in_units() & disjunction(one, G, log_weights=[0.5, -1]).in_units()


def anchored():
    return family(2, anchored=True)(nn.Parameter(vector(1, 2)), X.flip(0)).named("here") & G


COMPOSED = {
    "And": lambda: G & R,
    "Or": lambda: G | R,
    "Or, given": lambda: disjunction(G, R, G & R, log_weights=[1 / 3, None, -2.5]),
    "Not": lambda: G & negation(R, 1 / 3) & negation(R, 0.2, margin=1.1),
    "Scaled": lambda: (1 / 3) * G,
    "nested": lambda: 2 * (G & 0.3 * (G | 0.2 * R)) & ~(0.1 * (R & disjunction(G, R, log_weights=[0, 1]))),
    "units": lambda: (tempered(Mine(1.0, 2.0).named("m"), 0.3) & 2 * G).in_units(),
    "temperatures": lambda: (tempered(MineToo(0.5).named("m"), 0.3) & 2 * MineToo(1.0)).at_temperature(1.7),
    "formula": lambda: parse_formula("p & ~[1.5]q & (p | 0.2:q)", {"p": G & R, "q": R}),
    "family": of_family,
    "anchored": anchored,
    "tempered family": lambda: family(2).at_temperature(1.7)(vector(1, 2)) & G,
    "learns": lambda: nn.Parameter(torch.tensor(0.3)) * (G & R) & negation(G, nn.Parameter(torch.tensor(0.1))),
    "shares that learn": lambda: disjunction(G, R, log_weights=nn.Parameter(vector(0.1, 0.2))) | G,
    "per sample": lambda: torch.linspace(1, 2, 6) * G & negation(R, torch.linspace(0.1, 0.2, 6)),
}


def alike(a, b):
    with torch.no_grad():
        assert b(X).equal(a(X))
    assert b.gradient(X).equal(a.gradient(X))
    assert (b.temperature, b.log_z, b.grounded, str(b)) == (a.temperature, a.log_z, a.grounded, str(a))


@pytest.mark.parametrize("name", FORMS)
def test_an_energy_comes_back_from_its_class_and_arguments(name, tmp_path):
    energy = FORMS[name]()
    made = load(save(energy, tmp_path / "e.safetensors"))
    alike(energy, made)
    assert type(made) is type(energy) and made is not energy
    if hasattr(energy, "draw"):
        drawn = [e.draw(5, torch.Generator().manual_seed(0)) for e in (energy, made)]
        assert torch.equal(*drawn) and made.mean.equal(energy.mean)


@pytest.mark.parametrize("name", COMPOSED)
def test_a_composition_comes_back_as_it_was(name, tmp_path):
    energy = COMPOSED[name]()
    made = load(save(energy, tmp_path / "e.safetensors"))
    alike(energy, made)
    alike(energy.in_units(), made.in_units())
    assert [str(leaf) for leaf in leaves(made)] == [str(leaf) for leaf in leaves(energy)]
    assert terms(made, X).names == terms(energy, X).names
    held, back = (list(e.parameters()) for e in (energy, made))
    assert len(held) == len(back) and all(map(torch.equal, held, back))
    assert [p.requires_grad for p in held] == [p.requires_grad for p in back]
    assert {k: v.dtype for k, v in energy.state_dict().items()} == {k: v.dtype for k, v in made.state_dict().items()}


def test_members_of_one_family_stay_members_of_one_family_in_the_mode_they_were_in(tmp_path):
    made = load(save(of_family(), tmp_path / "e.safetensors"))
    (held,) = {leaf.family for leaf in leaves(made) if isinstance(leaf, Closed)}
    assert not held.training and held.temperature == 0.25
    with torch.no_grad():
        held.w += 1
    assert (made(X) - of_family()(X)).abs().min() > 1e-3


def test_a_network_of_the_package_keeps_weights_and_conditions(tmp_path):
    torch.manual_seed(0)
    net = CometEnergy(4, 8, side=16)
    energy = net(torch.randn(4)) & 0.3 * net(torch.randn(2, 4))
    made = load(save(energy, str(tmp_path / "deeper" / "e.safetensors")))
    images = torch.rand(2, 3, 16, 16)
    assert made(images).equal(energy(images)) and made.gradient(images).equal(energy.gradient(images))


def test_a_network_made_of_parts_comes_back_with_its_parts(tmp_path):
    torch.manual_seed(0)
    net = RefinedExperts(4, 16, Part(GlobalExperts, width=4), width=4)
    energy = net(torch.randn(4)) & 0.3 * net(torch.randn(2, 4))
    made = load(save(energy, tmp_path / "e.safetensors"))
    images = torch.rand(2, 3, 16, 16)
    assert made(images).equal(energy(images))


def test_what_a_file_cannot_hold_is_stored_by_name_and_handed_over(tmp_path):
    def bowl(x):
        return x.square().sum(1)

    energy = as_energy(bowl) & 0.5 * G & ~(0.1 * as_energy(bowl).named("other"))
    path = save(energy, tmp_path / "e.safetensors", given=["g"])
    made = load(path, {"bowl": bowl, "other": bowl, "g": G})
    alike(energy, made)
    assert made.parts[1].term is G
    with pytest.raises(CompositionFileError, match=r"e.safetensors: the energy 'other' is stored by name only; pass"):
        load(path, {"bowl": bowl, "g": G})
    with pytest.raises(CompositionFileError, match="two different energies are called 'bowl'"):
        save(as_energy(bowl) & as_energy(bowl), path)
    with pytest.raises(CompositionFileError, match="no energy in g & r is called q, as `given` says; it holds g, r"):
        save(G & R, path, given=["q"])


def test_what_cannot_be_made_again_is_refused_with_a_way_out(tmp_path):
    class Inner(Energy):
        def forward(self, x):
            return x.square().sum(1)

    class Odd(Energy):
        pass

    refused = {
        r"inner \(Inner\) cannot be made again .* not at the top of a module. .*given=\['inner'\]": Inner(),
        r"argument 'power' is a function, which a file does not hold. Store the energy by name": Mine(
            1.0, power=sum_of
        ),
    }
    for message, energy in refused.items():
        with pytest.raises(CompositionFileError, match=message):
            save(energy & G, tmp_path / "e.safetensors")
    assert not list(tmp_path.iterdir())
    alike(Inner(), load(save(Inner(), tmp_path / "e", given=["inner"]), {"inner": Inner()}))


def sum_of(x):
    return x


def test_writing_leaves_the_old_file_or_the_new_one(tmp_path, monkeypatch):
    path = save(G, tmp_path / "e.safetensors")

    def broken(*args, **kwargs):
        path.with_suffix(".seen").touch()
        raise OSError("disk full")

    monkeypatch.setattr("ergosum.composition_file.save_file", broken)
    with pytest.raises(OSError, match="disk full"):
        save(R, path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["e.safetensors", "e.seen"]
    alike(G, load(path))


def test_a_file_is_one_safetensors_file_with_the_formula_in_its_header(tmp_path):
    with safe_open(save(G & 0.5 * R, tmp_path / "e.safetensors"), "pt") as opened:
        told = json.loads(opened.metadata()["composition"])
    assert told["formula"] == "g & 0.5*r" and [m["class"].partition(":")[2] for m in told["modules"]] == [
        "Gaussian",
        "Ring",
    ]


def test_what_is_no_composition_is_refused(tmp_path):
    path = tmp_path / "e.safetensors"
    with pytest.raises(CompositionFileError, match="there is no such file"):
        load(path)
    for wrong in (b"", b"\x00" * 100, pickle.dumps({"a": 1})):
        path.write_bytes(wrong)
        with pytest.raises(CompositionFileError, match="expected a safetensors file"):
            load(path)
    with pytest.raises(CompositionFileError, match="expected a safetensors file"):
        load(tmp_path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(CompositionFileError, match="holds tensors but no composition"):
        load(path)


def damaged(path, change):
    with safe_open(path, "pt") as opened:
        told = json.loads(opened.metadata()["composition"])
        tensors = {k: opened.get_tensor(k) for k in opened.keys()}
    change(told, tensors)
    save_file(tensors, path, metadata={"composition": json.dumps(told)})
    return path


@pytest.mark.parametrize("change, message", [
    (lambda told, _: told.update(format=99), "expected format 1, got 99"),
    (lambda told, _: told.pop("tree"), "cannot be made again: 'tree'"),
    (lambda told, _: told["modules"][0].update({"class": "os:system"}), "Energy or Conditional at 'os:system'"),
    (lambda told, _: told["modules"][0].update({"class": "ergosum.energy:Nothing"}), "Nothing', got 'nothing'"),
    (lambda told, _: told["modules"][0].update({"class": "ergosum.nowhere:A"}), "cannot be imported"),
    (lambda told, _: told["modules"][0].update({"class": "ergosum.__main__:A"}), "got 'nothing'"),
    (lambda told, _: told["modules"][0].update({"class": 5}), "cannot be made again"),
    (lambda told, _: told["modules"][0].update(state=5), "cannot be made again"),
    (lambda told, _: told["modules"][0].update({"class": "antigravity:A"}), "not trusted.*trust=\\['antigravity'\\]"),
    (lambda told, _: told["modules"][0].update({"class": "torch.nn:Linear"}), "expected a class of Energy"),
    (lambda told, _: told["modules"][0]["arguments"].update(wrong=1), "unexpected keyword argument 'wrong'"),
    (lambda told, _: told["modules"][0]["arguments"].update(covariance=-1.0), "expected a variance > 0"),
    (lambda told, tensors: tensors.pop("tensor.0"), "cannot be made again"),
    (lambda told, _: told["tree"].update({"and": [{}]}), "cannot be made again"),
])  # fmt: skip
def test_a_file_that_was_tampered_with_is_refused_and_runs_nothing(change, message, tmp_path):
    path = damaged(save(G & R, tmp_path / "e.safetensors"), change)
    with pytest.raises(CompositionFileError, match=message):
        load(path)
    assert "antigravity" not in sys.modules


def test_a_class_from_a_module_of_ones_own_needs_to_be_imported_or_trusted(tmp_path, monkeypatch):
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "__init__.py").touch()
    (tmp_path / "my_package" / "bowls.py").write_text(
        textwrap.dedent("""
        from ergosum.energy import Energy
        class Bowl(Energy):
            def __init__(self, depth):
                super().__init__()
                self.depth = depth
            def forward(self, x):
                return self.depth * x.square().sum(1)
    """)
    )

    monkeypatch.syspath_prepend(str(tmp_path))
    save(0.5 * import_module("my_package.bowls").Bowl(3.0), tmp_path / "e.safetensors")

    def load_anew(**options):
        """As in a process that has not imported the module."""
        for name in ("my_package.bowls", "my_package"):
            sys.modules.pop(name, None)
        return load(tmp_path / "e.safetensors", **options)

    try:
        told = (
            r"e.safetensors: the class 'my_package.bowls:Bowl' is from a module that is not trusted; if you know it, "
        )
        with pytest.raises(CompositionFileError, match=rf"{told}import it before, or pass trust=\['my_package'\]\."):
            load_anew()
        assert "my_package" not in sys.modules, "nothing of it has run"
        assert str(load_anew(trust=["my_package"])) == "0.5*bowl"
        assert load(tmp_path / "e.safetensors").term.depth == 3.0, "imported before"
    finally:
        for name in ("my_package.bowls", "my_package"):
            sys.modules.pop(name, None)
