"""Parts: classes and their arguments as data, and what of foreign recipes is never run."""

import json
import sys
from types import ModuleType
from typing import Any, Literal, Protocol

import pytest

from ergosum.data.dataset import ImageDataset
from ergosum.data.mixed import Mixed
from ergosum.data.sequences import DigitSequences
from ergosum.data.tetrominoes import Tetrominoes
from ergosum.decomposer import InnerDescent
from ergosum.energies.box import Box
from ergosum.energy import Conditional
from ergosum.metrics.error import psnr
from ergosum.nets.encoders import Encoder, StridedEncoder
from ergosum.nets.residual import ResidualEncoder
from ergosum.nets.transport import Transport
from ergosum.nets.unet import UNetInnerProduct
from ergosum.part import Part, admits, described, exported, fits, kind_of, part_from, resolve, within
from ergosum.samplers.chain import Sampler
from ergosum.samplers.descent import Descent
from ergosum.samplers.mala import Mala
from ergosum.samplers.presets import ShortRun
from ergosum.temporal import PairData, Prediction, TemporalDecomposer
from ergosum.training.task import Task

WHOLE = Part(
    Prediction,
    data=Part(DigitSequences, factors=("angle",), lag=2),
    model=Part(TemporalDecomposer, energy=Part(Transport, width=8), descent=Part(InnerDescent, sampler=Part(Descent))),
    metrics=(Part(psnr),),
)


def test_a_part_is_built_late_with_what_the_surrounding_supplies():
    made = Part(Transport, width=8).build(code=4, side=12, channels=3)
    assert made.body.stem.out_channels == 8 and isinstance(made, Transport)
    assert Part(Transport, width=8, side=16).build(code=4, side=12).body.stem.out_channels == 8
    assert Part(StridedEncoder, outputs=2, channels=1).build(channels=3).convs[0].in_channels == 4  # its own counts


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match="Transport needs code; pass it"):
        Part(Transport).build()


def test_a_function_as_a_part_is_itself_with_its_arguments():
    def scaled(a, b, factor=1.0):
        return factor * (a - b)

    assert Part(scaled, factor=3.0).build(side=28)(5, 3) == 6
    assert Part(scaled).build()(5, 3) == 2


@pytest.mark.parametrize(
    "arguments, message",
    [({"widht": 3}, "Transport takes no 'widht'; did you mean width"),
     ({"colour": 3}, "Transport takes no 'colour'; it takes code, width, side")],
)  # fmt: skip
def test_an_unknown_argument_is_named_with_a_near_one(arguments, message):
    with pytest.raises(ValueError, match=message):
        Part(Transport, **arguments)


def test_what_cannot_be_built_is_no_part():
    with pytest.raises(TypeError, match="expected a class or function, got int"):
        Part(3)  # type: ignore[arg-type]


def test_a_part_survives_the_round_trip_through_plain_data():
    told = json.loads(json.dumps(WHOLE.to_dict()))
    assert told["class"] == "ergosum.temporal.task.Prediction" and told["data"]["factors"] == ["angle"]
    again = part_from(told, kind=Task)
    assert again == WHOLE and again.get("data").get("factors") == ("angle",)
    assert hash(again) == hash(WHOLE) and again != WHOLE.but(persistent=0.5) and WHOLE != "Prediction"
    assert [p.cls for p in within(again)] == [p.cls for p in within(WHOLE)] and len(list(within(WHOLE))) == 7


@pytest.mark.parametrize("clamp", [(-1.0, 1.0), None])
def test_values_that_may_be_a_list_or_nothing_survive_it_too(clamp):
    part = Part(ShortRun, clamp=clamp)
    assert part_from(json.loads(json.dumps(part.to_dict()))) == part
    with pytest.raises(ValueError, match="clamp: expected 2 values or nothing"):
        part_from({**part.to_dict(), "clamp": [0.0, 1.0, 2.0]})


def test_changes_merge_into_parts_within_and_leave_the_original_alone():
    changed = WHOLE.but(model={"energy": {"width": 5}, "latent": 2}, data=Part(DigitSequences))
    assert changed.get("model").get("energy") == Part(Transport, width=5) and changed.get("model").get("latent") == 2
    assert changed.get("data") == Part(DigitSequences) and WHOLE.get("model").get("energy").get("width") == 8
    untouched = Part(TemporalDecomposer).but(encoder={"width": 3})  # of a default
    assert untouched.get("encoder") == Part(StridedEncoder, width=3)


def test_settings_are_all_arguments_but_those_supplied():
    assert Part(Transport, width=8).settings() == {"width": 8, "side": 28}
    assert repr(Part(Transport, width=8)) == "Part(Transport, width=8)"


@pytest.mark.parametrize(
    "value, message",
    [
        (3, r"expected a part, \{'class': NAME"),
        ({"width": 3}, r"expected a part, \{'class': NAME"),
        ({"class": 3}, r"expected a part, \{'class': NAME"),
        ({"class": "Transprot"}, "'Transprot' is no part of ergosum; did you mean Transport"),
        ({"class": "Zzz"}, "'Zzz' is no part of ergosum; `ergosum parts` lists them"),
        ({"class": "ergosum.nets.transport.Zzz"}, "is no part of ergosum"),
        ({"class": "ergosum.cli.main"}, "'ergosum.cli.main' is no part of ergosum"),
        ({"class": "ergosum.zoo.pack.pack"}, "'ergosum.zoo.pack.pack' is no part of ergosum"),
        ({"class": "ergosum.files.write_json"}, "'ergosum.files.write_json' is no part of ergosum"),
        ({"class": "ergosum.nets.transport.nn.Linear"}, "is no part of ergosum"),
        ({"class": "ergosum.nets.torch"}, "is no part of ergosum"),
        ({"class": "os.system", "command": "id"}, "os.system is no part: os belongs to Python itself"),
        ({"class": "subprocess.Popen", "args": "id"}, "subprocess.Popen is no part"),
        ({"class": "builtins.eval"}, "builtins.eval is no part"),
        ({"class": "__main__"}, "is no part of ergosum"),
        ({"class": "torch.nn.Linear"}, "torch.nn.Linear is from a module that is not trusted; if you"),
        ({"class": "numpy.load"}, "numpy.load is from a module that is not trusted"),
        ({"class": "Transport", "width": "wide"}, r"here\.width: expected an integer, got 'wide'"),
        ({"class": "Transport", "width": True}, r"here\.width: expected an integer, got True"),
        ({"class": "InnerDescent", "gradient": "all"}, r"here\.gradient: expected one of last, truncated, "),
        ({"class": "DigitSequences", "factors": "angle"}, r"here\.factors: expected a list of text, got 'angle'"),
        ({"class": "DigitSequences", "factors": [1]}, r"here\.factors: expected text, got 1"),
        ({"class": "DigitSequences", "continuous": 1}, r"here\.continuous: expected true or false, got 1"),
        ({"class": "TemporalDecomposer", "energy": 3}, r"here\.energy: expected a part, got 3"),
        ({"class": "TemporalDecomposer", "energy": {"class": "Mala"}}, r"here\.energy: Mala is no Conditional"),
        ({"class": "TemporalDecomposer", "encoder": {"class": "Transport"}}, r"here\.encoder: Transport is no Encoder"),
        ({"class": "InnerDescent", "sampler": {"class": "Transport"}}, r"here\.sampler: Transport is no Sampler"),
        ({"class": "Mixed", "sets": [{"class": "Transport"}]}, r"here\.sets: Transport is no "),
        ({"class": "Recomposition", "objective": {"class": "Shapes"}}, r"here\.objective: Shapes is no Recomposition"),
        ({"class": "Recomposition", "objective": {"class": "PredictionLoss"}}, r"PredictionLoss is no Recomposition"),
        ({"class": "Mixed", "sets": {"class": "Shapes"}}, r"here\.sets: expected a list"),
    ],
)  # fmt: skip
def test_what_is_no_part_of_this_kind_is_refused(value, message):
    with pytest.raises(ValueError, match=message):
        part_from(value, where="here")


def test_a_class_of_another_kind_is_answered_with_those_that_fit():
    with pytest.raises(ValueError, match="task: Transport is no Task; expected one such as Prediction"):
        part_from({"class": "Transport"}, kind=Task, where="task")
    with pytest.raises(ValueError, match=r"Zzz.* expected one of .*PairEncoder.*, or a class of your own"):
        resolve("Zzz", kind=Encoder)


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """A module whose import leaves a mark, and its name."""
    (tmp_path / "foreign_parts.py").write_text(
        "from pathlib import Path\n"
        f"Path({str(tmp_path / 'mark')!r}).write_text('imported')\n"
        "from ergosum.nets import Transport\n\n"
        "class Mine(Transport):\n    def __init__(self, code, width=3, side=28, gain: float = 1.0):\n"
        "        super().__init__(code, width, side)\n\n"
        "value = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "mark"
    sys.modules.pop("foreign_parts", None)


@pytest.mark.parametrize("trust", [(), ("foreign",), ("foreign_parts.deeper",), ("ergosum",)])
def test_a_module_that_is_not_trusted_is_refused_in_one_line_before_it_is_imported(trust, foreign):
    recipe = WHOLE.but(model={"energy": Part(Transport)}).to_dict()
    recipe["model"]["energy"] = {"class": "foreign_parts.Mine"}
    with pytest.raises(ValueError, match=r"task\.model\.energy: foreign_parts\.Mine .*--trust foreign_parts") as caught:
        part_from(recipe, trust, Task, "task")
    assert "\n" not in str(caught.value) and not foreign.exists() and "foreign_parts" not in sys.modules


def test_a_trusted_module_gives_its_classes_and_nothing_else(foreign):
    part = part_from({"class": "foreign_parts.Mine", "gain": 2}, ("foreign_parts",), Conditional)
    assert part.build(code=3, side=12).body.stem.out_channels == 3 and foreign.exists()
    assert part.to_dict() == {"class": "foreign_parts.Mine", "gain": 2}
    for name in ("value", "Path.home", "nothing"):
        with pytest.raises(ValueError, match=r"has no class|cannot import|is no"):
            part_from({"class": f"foreign_parts.{name}"}, ("foreign_parts",), Conditional)


def test_a_module_that_the_caller_imported_itself_is_trusted_and_a_library_is_not(foreign):
    import foreign_parts  # type: ignore[import-not-found]  # noqa: F401

    assert resolve("foreign_parts.Mine", (), Conditional).__name__ == "Mine"
    with pytest.raises(ValueError, match="not trusted"):
        resolve("torch.nn.Conv2d")


@pytest.mark.parametrize("room", ["site-packages", "dist-packages"])
def test_a_library_that_something_else_imported_is_not_the_callers_own(room, monkeypatch):
    module = ModuleType("someones_library")
    module.__file__ = f"/usr/lib/python3/{room}/someones_library.py"
    monkeypatch.setitem(sys.modules, "someones_library", module)
    with pytest.raises(ValueError, match=r"someones_library\.Mine is from a module that is not trusted"):
        resolve("someones_library.Mine")


def test_what_a_trusted_module_imported_from_elsewhere_is_no_part_of_it(foreign):
    with pytest.raises(ValueError, match=r"foreign_parts\.Path is no part: foreign_parts has it from pathlib"):
        part_from({"class": "foreign_parts.Path"}, ("foreign_parts",))
    assert resolve("foreign_parts.Transport", ("foreign_parts",)) is Transport


def test_a_loaded_module_without_a_file_is_not_the_callers_own(monkeypatch):
    monkeypatch.setitem(sys.modules, "someones_compiled", ModuleType("someones_compiled"))
    with pytest.raises(ValueError, match=r"someones_compiled\.Mine is from a module that is not trusted"):
        resolve("someones_compiled.Mine")


def test_a_trusted_module_that_cannot_be_imported_says_why(tmp_path, monkeypatch):
    (tmp_path / "broken_parts.py").write_text("import nothing_of_this_name\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"cannot import broken_parts \(No module named 'nothing_of_this_name'\)"):
        resolve("broken_parts.Mine", ("broken_parts",))


@pytest.mark.parametrize(
    "value, hint, fine",
    [
        (3, int, True), (3.0, int, False), (True, int, False), (3, float, True), (2.5, float, True),
        ("3", float, False), (True, bool, True), (1, bool, False), ("a", str, True), (None, int | None, True),
        (3, int | None, True), ("a", int | None, False), ("a", Literal["a", "b"], True),
        ("c", Literal["a", "b"], False),
        ((1, 2), tuple[int, ...], True), ((1, "2"), tuple[int, ...], False), ((), tuple[int, ...], True),
        ((1, 2), tuple[int, int], True), ((1, 2, 3), tuple[int, int], False), (3, int | tuple[int, int], True),
        (Part(Transport), Part[Conditional], True), (3, Part[Conditional], False), ({"a": 1}, Any, True),
        ({"a": 1}, dict[str, int], True),
    ],
)  # fmt: skip
def test_plain_data_are_of_a_type_or_not(value, hint, fine):
    assert admits(value, hint) == fine
    assert described(hint)


def test_the_kind_of_an_argument_is_read_off_its_type():
    assert kind_of(Part[Conditional]) is Conditional and kind_of(tuple[Part[Encoder], ...]) is Encoder
    assert kind_of(Part[Sampler] | None) is Sampler and kind_of(int) is None and kind_of(Part[Any]) is None


class Loud(Protocol):
    """Something that speaks."""

    def speak(self) -> str: ...


class Dog:
    def speak(self) -> str:
        return "woof"


def test_a_class_fits_a_kind_by_descent_and_a_protocol_by_its_methods():
    assert fits(UNetInnerProduct, Conditional) and not fits(Conditional, Conditional)
    assert fits(ResidualEncoder, Encoder) and not fits(Transport, Encoder)
    assert fits(Dog, Loud) and not fits(Transport, Loud) and not fits(Loud, Loud)
    assert fits(Mala, Sampler) and fits(DigitSequences, PairData) and not fits(Mixed, PairData)
    assert not fits(psnr, Conditional)
    assert fits(Tetrominoes, ImageDataset) and not fits(Box, ImageDataset)  # whose `draw` gives points, no record


def test_every_exported_part_is_found_by_its_short_and_by_its_full_name():
    for cls in exported():
        assert resolve(cls.__name__) is cls and resolve(f"{cls.__module__}.{cls.__qualname__}") is cls
    names = [cls.__name__ for cls in exported()]
    assert len(set(names)) == len(names), "two parts of one short name"
