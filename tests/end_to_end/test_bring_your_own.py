"""Parts of one's own, in a package in a folder of one's own: from the command line, from YAML and from Python."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

import ergosum
from ergosum import zoo
from ergosum.cli import main
from ergosum.part import Part
from ergosum.recipes import find
from ergosum.training.experiment import Experiment, Optimiser
from ergosum.training.loop import train
from ergosum.training.runfolder import load_predictor

PACKAGE = '''"""Parts of my own."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ergosum import Conditional
from ergosum.data.record import ImageRecord, Pairs
from ergosum.nets import Encoder
from ergosum.nets.transport import Bowl
from ergosum.samplers.state import Info, State
from ergosum.temporal import PredictionLoss, PredictionObjective

(Path.cwd() / "imported").write_text("my_parts")


class MyEnergy(Conditional):
    """The anchor, moved by a small convolution.

    Args:
        width: channels, >= 1.
    """

    anchored = True

    def __init__(self, code: int, side: int, width: int = 16) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3 + code, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, 3, 3, padding=1))

    def bind(self, z, anchor):
        maps = z[:, :, None, None].expand(-1, -1, *anchor.shape[-2:])
        return Bowl(anchor + self.net(torch.cat([anchor, maps], 1)).float())


class MyFreeEnergy(Conditional):
    """A bowl about one colour, without anchor."""

    def __init__(self, code: int, side: int) -> None:
        super().__init__()
        self.head, self.side = nn.Linear(code, 3), side

    def bind(self, z, anchor=None):
        return Bowl(self.head(z)[:, :, None, None].expand(-1, -1, self.side, self.side).float())


class MyEncoder(Encoder):
    """Mean colour, through a linear layer."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.head = nn.Linear(3, outputs)

    def forward(self, x):
        return self.head(x.mean((2, 3)))


class MyPairs:
    """Frames of one colour that get brighter.

    Args:
        step: how much, 0 .. 0.5.
    """

    def __init__(self, canvas: int = 28, step: float = 0.1, split: str = "train") -> None:
        self.canvas, self.step = canvas, step if split == "train" else step + 0.1

    def pairs(self, n: int, generator) -> Pairs:
        start = 0.5 * torch.rand(n, 3, 1, 1, generator=generator).expand(-1, -1, self.canvas, self.canvas)
        moves, none = torch.tensor([[1.0, 0.0, 0.0]]).expand(n, -1), torch.zeros(n, 3)
        return Pairs(start, start + self.step, moves, none, none, start[:, :1], torch.zeros(n, dtype=torch.long))


class MyImages:
    """Images of one colour with a white square."""

    factors, attributes, objects = (), (), 1

    def __init__(self, side: int = 16, split: str = "train") -> None:
        self.side, self.settings = side, {"side": side}

    def draw(self, n: int, generator) -> ImageRecord:
        images = torch.rand(n, 3, 1, 1, generator=generator).expand(-1, -1, self.side, self.side).clone()
        images[:, :, 4:8, 4:8] = 1
        mask = torch.zeros(n, 1, self.side, self.side, dtype=torch.bool)
        mask[:, :, 4:8, 4:8] = True
        return ImageRecord(images, torch.zeros(n, 0), torch.cat([~mask, mask], 1), torch.zeros(n, 1, 0))


class MyLoss(PredictionObjective):
    """Log cosh of the error.

    Args:
        weight: of the loss, > 0.
    """

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight

    def __call__(self, pairs, path):
        terms = PredictionLoss()(pairs, path)
        return terms._replace(loss=self.weight * (path.frames[-1] - pairs.target).cosh().log().mean())


@dataclass(frozen=True, kw_only=True)
class MyStep:
    """Half a descent step."""

    step_size: float = 1.0
    share: float = 0.5
    """Share of the step, 0 .. 1."""

    def init(self, energy, x):
        return State(x)

    def step(self, energy, state, generator=None, create_graph=False):
        value, gradient = energy.value_and_gradient(state.x, create_graph)
        moved = state.x - self.share * self.step_size * gradient
        return State(moved, n=state.n + 1), Info(value.detach(), gradient.detach())


def worst_pixel(made, true):
    """The largest error of any pixel."""
    return (made - true).abs().flatten(1).amax(1)
'''
SMALL = ["--model.encoder.width", "4", "--data.source", "digits", "--data.limit", "32", "--optimiser.batch", "4",
         "--optimiser.precision", "32", "--accelerator", "cpu"]  # fmt: skip
ALL = {
    "data": {"class": "my_parts.MyPairs", "step": 0.2},
    "model": {
        "energy": {"class": "my_parts.MyEnergy", "width": 3}, "encoder": {"class": "my_parts.MyEncoder"},
        "descent": {"sampler": {"class": "my_parts.MyStep", "share": 0.75}},
    },
    "objective": {"class": "my_parts.MyLoss", "weight": 2.0}, "metrics": [{"class": "my_parts.worst_pixel"}],
}  # fmt: skip


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a package of one's own, which is the present one."""
    (tmp_path / "place" / "my_parts").mkdir(parents=True)
    (tmp_path / "place" / "my_parts" / "__init__.py").write_text(PACKAGE)
    monkeypatch.chdir(tmp_path / "place")
    yield tmp_path / "place"
    forget(tmp_path / "place")


def forget(place):
    """As if a new process began: the package of one's own is not imported, and its folder on no path."""
    sys.modules.pop("my_parts", None)
    sys.path[:] = [p for p in sys.path if p != str(place)]


@pytest.fixture
def ergosum_command(place):
    """The installed command, whose own folder is elsewhere; returns what it prints."""
    script = place.parent / "bin" / "command.py"
    script.parent.mkdir()
    script.write_text("import sys\nfrom ergosum.cli import main\nsys.exit(main())\n")
    root = str(Path(ergosum.__file__).parents[1])

    def run(*arguments, code=0):
        given = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root}
        done = subprocess.run([sys.executable, str(script), *map(str, arguments)], cwd=place, env=given,
                              capture_output=True, text=True, timeout=300)  # fmt: skip
        assert done.returncode == code and "Traceback" not in done.stderr, done.stderr
        return done.stdout if code == 0 else done.stderr

    return run


def test_an_energy_of_ones_own_is_trained_scored_steered_reported_and_resumed(
    place, ergosum_command, capsys, monkeypatch
):
    monkeypatch.setattr(zoo, "CARDS", place / "none")  # companions take longer
    run = ["train", "angle", "--trust", "my_parts", "--model.energy", "my_parts.MyEnergy", *SMALL,
           "--model.energy.width", "12", "--data.canvas", "32"]  # fmt: skip  # baselines that ship have another canvas
    told = ergosum_command(*run, "--optimiser.iterations", "4")
    assert (
        told == "runs/angle  (ergosum score runs/angle --trust my_parts; ergosum report runs/angle --trust my_parts)\n"
    )
    recipe = json.loads((place / "runs" / "angle" / "recipe.json").read_text())
    assert recipe["task"]["model"]["energy"] == {"class": "my_parts.MyEnergy", "width": 12}

    def told_by(*arguments):
        forget(place)
        assert main([*arguments, "--trust", "my_parts"]) == 0
        return capsys.readouterr().out

    score = ["score", "runs/angle", "--n", "2", "--source", "digits"]
    scores = json.loads(told_by(*score, "--json"))
    assert scores["factor"] == "angle" and "timeline_error" in scores
    strip = ["control", "runs/angle", "--timeline", "angle:2", "--out", "strip.png"]
    assert told_by(*strip) == "strip.png\n" and Image.open("strip.png").width > 100
    assert told_by("report", "runs/angle") == "runs/angle/report.html\n"
    more = ["train", "angle", "--resume", "--optimiser.iterations", "6", "--accelerator", "cpu"]
    told_by(*more)
    assert json.loads((place / "runs" / "angle" / "run.json").read_text())["iterations"] == 6
    (place / "imported").unlink()
    forget(place)
    for command in (score, strip, ["report", "runs/angle"], more):
        capsys.readouterr()
        assert main(command) == 1
        out, errors = capsys.readouterr()
        assert (
            out == "" and errors.count("\n") == 1 and "is not trusted; if you know it, add --trust my_parts" in errors
        )
    assert not (place / "imported").exists()


def test_a_yaml_file_puts_parts_of_ones_own_everywhere(place, capsys):
    (place / "mine.yaml").write_text(yaml.safe_dump({"recipe": "colour", **ALL, "optimiser": {"iterations": 20}}))
    small = ["--optimiser.batch", "4", "--optimiser.precision", "32", "--accelerator", "cpu"]
    assert main(["train", "mine.yaml", "--trust", "my_parts", *small]) == 0
    recipe = json.loads(Path("runs/mine/recipe.json").read_text())["task"]
    assert recipe["data"] == ALL["data"] and recipe["model"]["descent"]["sampler"]["share"] == 0.75
    assert recipe["objective"] == ALL["objective"] and recipe["metrics"] == ALL["metrics"]
    experiment, model = load_predictor("runs/mine", ("my_parts",))
    assert type(model.energies[0]).__name__ == "MyEnergy" and type(model.encoder).__name__ == "MyEncoder"
    assert type(model.sampler()).__name__ == "MyStep" and experiment.built().canvas == 28
    capsys.readouterr()
    assert main(["score", "runs/mine", "--trust", "my_parts", "--json", "--n", "8"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert (
        scores["source"] == "MyPairs" and 0 < scores["error"] and scores["reference"] == pytest.approx(0.09)
    )  # of the part that is held out
    assert 0 < scores["worst_pixel"] < 0.5
    assert main(["score", "runs/mine", "--trust", "my_parts", "--n", "8"]) == 0
    assert "worst_pixel" in capsys.readouterr().out
    assert main(["report", "runs/mine", "--trust", "my_parts"]) == 0
    page = Path("runs/mine/report.html").read_text()
    assert "<h2>Predictions</h2>" in page and "<img" in page
    assert main(["control", "runs/mine", "--trust", "my_parts", "--timeline", "colour:2"]) == 0


def test_the_same_on_the_command_line(place, capsys):
    given = ["--data", "my_parts.MyPairs", "--data.step", "0.2", "--model.energy", "my_parts.MyEnergy",
             "--model.energy.width", "3", "--model.encoder", "my_parts.MyEncoder",
             "--model.descent.sampler", "my_parts.MyStep", "--model.descent.sampler.share", "0.75",
             "--objective", "my_parts.MyLoss", "--objective.weight", "2.0",
             "--metrics", "my_parts.worst_pixel"]  # fmt: skip
    assert main(["train", "colour", "--trust", "my_parts", *given, "--print_config"]) == 0
    told = yaml.safe_load(capsys.readouterr().out)["task"]
    assert told["data"] == ALL["data"] and told["model"]["energy"] == ALL["model"]["energy"]
    assert told["objective"] == ALL["objective"] and told["metrics"] == ALL["metrics"]
    assert told["model"]["descent"]["sampler"] == ALL["model"]["descent"]["sampler"]


def test_help_lists_the_fields_of_a_trusted_part(place, capsys):
    (place / "mine.yaml").write_text("recipe: colour\nmodel: {energy: {class: my_parts.MyEnergy}}\n")
    assert main(["train", "mine.yaml", "--trust", "my_parts", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "--model.energy MyEnergy" in text and "--model.energy.width 16 channels, >= 1" in text


def test_images_of_ones_own_are_decomposed(place, capsys):
    given = ["--data", "my_parts.MyImages", "--model.energy", "my_parts.MyFreeEnergy", "--model.encoder",
             "my_parts.MyEncoder", "--model.latent", "3", "--model.components", "one,two", "--objective.mask_entropy",
             "0", "--objective.foreground_area", "0", "--count", "16", "--optimiser.iterations", "3",
             "--optimiser.batch", "4", "--optimiser.precision", "32", "--accelerator", "cpu",
             "--name", "own"]  # fmt: skip
    assert main(["train", "tetrominoes", "--trust", "my_parts", *given]) == 0
    capsys.readouterr()
    assert main(["score", "runs/own", "--trust", "my_parts", "--json", "--n", "4"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["source"] == "myimages" and scores["mse"] > 0
    assert main(["report", "runs/own", "--trust", "my_parts"]) == 0
    assert "<img" in Path("runs/own/report.html").read_text()


def test_parts_of_ones_own_from_python_need_no_trust(place, monkeypatch):
    monkeypatch.syspath_prepend(str(place))
    import my_parts

    from ergosum.temporal import PairData, Prediction, Predictor, TemporalDecomposer
    from ergosum.training.task import Task

    assert issubclass(Prediction, Task)
    assert hasattr(PairData, "pairs") and hasattr(Predictor, "predict")
    model = Part(TemporalDecomposer, energy=Part(my_parts.MyEnergy, width=3), encoder=Part(my_parts.MyEncoder))
    task = Part(Prediction, data=Part(my_parts.MyPairs, step=0.2), model=model, objective=Part(my_parts.MyLoss))
    settings = Optimiser(iterations=30, batch=8, rate=1e-2, ema=0.0)
    updates = list(train(Experiment(task=task, optimiser=settings), "runs/python", accelerator="cpu"))
    assert updates[-1].loss < 0.5 * updates[0].loss
    assert load_predictor("runs/python")[0].task == task  # the module is one that this program imported itself
    changed = find("colour").but(task={"model": {"energy": Part(my_parts.MyEnergy)}})
    assert type(changed.built().build().energies[0]) is my_parts.MyEnergy
    with pytest.raises(ValueError, match="persistent: expected 0 with MyPairs, which draws no pair from given factors"):
        task.but(persistent=0.5).build()
    with pytest.raises(ValueError, match="MyEnergy takes no 'widht'; did you mean width"):
        changed.but(task={"model": {"energy": {"widht": 3}}})


def test_a_whole_model_of_frames_of_ones_own_takes_the_place_of_the_decomposer(place, monkeypatch):
    (place / "my_parts" / "model.py").write_text('''"""A model of frames."""

from torch import nn

from ergosum.decomposer import Trajectory


class MyModel(nn.Module):
    """Adds one number to a frame."""

    components = ("colour",)

    def __init__(self, side: int, components: tuple[str, ...] = ("colour",)) -> None:
        super().__init__()
        self.canvas, self.more = side, nn.Linear(1, 3)

    def forward(self, start, target=None, moves=None, generator=None, active=None):
        made = start + self.more(start.new_ones(1)).view(1, 3, 1, 1)
        return Trajectory([start, made], [], start.new_zeros(len(start), 1, 0))

    def predict(self, start, target=None, moves=None, active=None, generator=None):
        return self(start).frames[-1].detach().clamp(0, 1)

    def locate(self, start, target, moves):
        return "my model"
''')
    run = ["train", "colour", "--trust", "my_parts", "--model", "my_parts.model.MyModel", "--data", "my_parts.MyPairs",
           "--optimiser.iterations", "3", "--optimiser.batch", "4", "--optimiser.precision", "32"]  # fmt: skip
    assert main(run) == 0
    model = load_predictor("runs/colour", ("my_parts",))[1]
    assert model.predict(torch.zeros(2, 3, 28, 28)).shape == (2, 3, 28, 28)
    assert main(["score", "runs/colour", "--trust", "my_parts", "--n", "4"]) == 0
    assert main(["report", "runs/colour", "--trust", "my_parts"]) == 0


BROKEN = [
    ("class MyPairs:\n    def pairs(self, n, generator): ...\n", "canvas"),
    ("class MyPairs:\n    def __init__(self, canvas=28): pass\n", "MyPairs is no PairData; expected one such as"),
]


@pytest.mark.parametrize("text, message", BROKEN)
def test_a_part_that_lacks_something_is_refused_in_one_line(text, message, place, capsys):
    (place / "my_parts" / "__init__.py").write_text(text)
    run = ["train", "colour", "--trust", "my_parts", "--data", "my_parts.MyPairs", "--out", "new"]
    assert main(run) == 1
    out, errors = capsys.readouterr()
    assert out == "" and errors.count("\n") == 1 and message in errors, errors
    assert not (place / "new").exists()
