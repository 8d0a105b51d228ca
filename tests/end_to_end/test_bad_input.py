"""The command line as a user meets it: what cannot work ends with one line and leaves nothing half-written."""

import shutil

import pytest
import torch
from PIL import Image

from ergosum.cli import main
from ergosum.training.runfolder import load_weights, save_weights

TINY = ["--data.source", "digits", "--data.limit", "32", "--model.encoder.width", "4", "--model.energy.width", "4",
        "--optimiser.batch", "4", "--optimiser.iterations", "3", "--accelerator", "cpu"]  # fmt: skip


def listing(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def place(tmp_path, trained, monkeypatch):
    """A folder with a run and images, some of which make no start frame."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "file").write_text("in the way")
    Image.new("RGBA", (28, 28), (255, 0, 0, 90)).save(tmp_path / "rgba.png")
    Image.new("L", (1, 1), 9).save(tmp_path / "dot.png")
    return tmp_path


def without_warning(errors):
    """What was said, without what CPUs that emulate bfloat16 are warned of."""
    return "".join(line for line in errors.splitlines(keepends=True) if "no native bfloat16" not in line)


def refused(arguments, place, capsys, code, message):
    before = listing(place)
    assert main(arguments.split()) == code
    out, errors = capsys.readouterr()
    errors = without_warning(errors)
    assert errors.count("\n") == 1 and errors.startswith("ergosum: ") and "Traceback" not in errors
    assert message in errors and out == "" and listing(place) == before


TRAIN = [
    ("train", 2, "required: recipe"),
    ("train colur --out new", 1, "did you mean colour"),
    ("train zzz --out new", 1, "`ergosum recipes --all`"),
    ("train mine.yaml --out new", 1, "No such recipe file: mine.yaml"),
    ("train colour --out new --optimiser", 2, "--optimiser: expected a value"),
    ("train colour --out new more", 2, "expected --FIELD VALUE, got 'more'"),
    ("train colour --out new --model.descent.speed 3", 1, "no field --model.descent.speed; known here: steps, "),
    ("train colour --out new --model.descent.step 3", 1, "no field --model.descent.step; did you mean steps?"),
    ("train colour --out new --descent.steps 3", 1, "no field --descent.steps; did you mean --model.descent.steps?"),
    ("train colour --out new --width 3", 1, "did you mean --model.encoder.width or --model.energy.width?"),
    ("train colour --out new --optimizer.rate 1", 1, "no field --optimizer.rate"),
    ("train colour --out new --data.source.name 3", 1, "--data.source.name: source is no part"),
    ("train colour --out new --model.descent.steps 0", 1, "descent.steps: expected a number >= 1, got 0"),
    ("train colour --out new --model.descent.steps many", 1, "--model.descent.steps: expected an integer, got 'many'"),
    ("train colour --out new --data.lag 40", 1, "lag: expected an integer 1 .. 17, got 40"),
    ("train colour --out new --data.mode all", 1, "--data.mode: expected one of lockstep, single, sparse, laplace"),
    ("train colour --out new --model.moves maybe", 1, "--model.moves: expected true or false, got 'maybe'"),
    ("train colour --out new --model.energy conv", 1, "'conv' is no part of ergosum; expected one of CometEnergy, "),
    ("train colour --out new --model.energy Mala", 1, "Mala is no Conditional; expected one such as CometEnergy, "),
    ("train colour --out new --model.energy ergosum.cli.main", 1, "'ergosum.cli.main' is no part of ergosum"),
    ("train colour --out new --model.energy os.system", 1, "os.system is no part: os belongs to Python itself"),
    ("train colour --out new --model.energy my.Energy", 1, "my.Energy is from a module that is not trusted; if you"),
    ("train colour --out new --model.energy my.Energy --trust my", 1, "cannot import my (No module named 'my')"),
    ("train colour --out new --model.energy.width 0 --data.source digits", 1, "expected every width >= 1"),
    ("train colour --out new --model.energy.width -1 --data.source digits", 1, "negative dimension -1"),
    ("train colour --out new --optimiser.rate -1", 1, "optimiser.rate: expected a number > 0"),
    (
        "train colour --out new --model.anchor none",
        1,
        "expected start or step, since Transport needs an anchor",
    ),
    ("train colour --out new --data.source nothing", 1, "Unknown source 'nothing'"),
    (
        "train colour --out new --data.source digits --warm_start none --model.energy.width 4",
        1,
        "There is no card or run folder 'none'",
    ),
    ("train colour --out new --config none.yaml", 1, "No such file of fields: none.yaml"),
    ("train colour --out none --resume", 1, "Nothing to resume"),
]


@pytest.mark.parametrize("arguments, code, message", TRAIN)
def test_training_refuses(arguments, code, message, place, capsys):
    refused(arguments, place, capsys, code, message)


@pytest.mark.parametrize("text, message", [
    ("{recipe: colour, model: {class: 5}}", "class: expected the name of a class, got 5"),
    ("task: {class: 5}", "class: expected the name of a class, got 5"),
    ("recipe: [colour]", "expected the name of one recipe under `recipe`, got ['colour']"),
    ("{recipe: colour, data: {1: 2}}", "mine.yaml: expected fields by name, got "),
    ("{recipe: colour, name: ../mine}", "name: expected a name that a folder can have, got '../mine'"),
    ("{recipe: colour, task: {objective: {class: os.system}}}", "os.system is no part: os belongs to Python itself"),
    ("task: !!python/object/apply:os.system [ls]", "mine.yaml is not valid YAML"),
])  # fmt: skip
def test_a_file_of_fields_that_makes_no_recipe_is_refused(text, message, place, capsys):
    (place / "mine.yaml").write_text(text)
    refused("train mine.yaml", place, capsys, 1, message)


def test_a_run_of_the_first_version_is_refused_before_fields_are_changed(place, capsys):
    (place / "run" / "recipe.json").write_text('{"task": "pairs", "data": {}, "model": {}}')
    refused("train colour --out run --resume --seed 3", place, capsys, 1, "has the form of version 0.1")


CONTROL = [
    ("--timeline colour:2 run", 0, ""),
    ("--timeline angle:2 run", 1, "unknown factor 'angle'; the energies given are colour"),
    ("--timeline colour:0 run", 1, "'colour:0' has no frames"),
    ("--timeline colour run", 1, "cannot read 'colour'"),
    ("--timeline colour:1500,colour:-1500 run", 1, "expected at most 2000 frames, got 3000"),
    ("--timeline colour:2 run --start text.png", 1, "text.png could not be read as an image: it is none of PNG"),
    ("--timeline colour:2 run --start rgba.png", 1, "no digit can be told from its ground"),
    ("--timeline colour:2 run --start dot.png", 1, "1x1 pixels; expected at least 4x4"),
    ("--timeline colour:2 run --start none.png", 1, "No such image: none.png"),
    ("--timeline colour:2 run --start digits:12", 1, "expected SOURCE:DIGIT"),
    ("--timeline colour:2 run --start digits:7@9999", 1, "held-out 7s in digits"),
    ("--timeline colour:2 run --out strip.jpg", 1, "ends in .png or .gif"),
    ("--timeline colour:2 run --out file/strip.png", 1, "file"),
    ("--timeline colour:2 run --out /proc/strip.png", 1, "strip.png"),
    ("--timeline colour:2 none", 1, "There is no card or run folder 'none'"),
    ("--timeline colour:2 file", 1, "file is not a run folder"),
    ("--timeline colour:2 run --how both", 2, "both"),
    ("run", 2, "timeline"),
]


@pytest.mark.parametrize("arguments, code, message", CONTROL)
def test_control_refuses(arguments, code, message, place, capsys):
    if code == 0:
        assert main(["control", *arguments.split()]) == 0 and (place / "strip.png").stat().st_size > 500
    else:
        refused(f"control {arguments}", place, capsys, code, message)


OTHER = [
    ("fly", 2, "fly"),
    ("--nothing", 2, ""),
    ("score none --json", 1, "There is no card or run folder 'none'"),
    ("score run --n 0 --source digits", 1, "--n: expected at least 1, got 0"),
    ("score run --n few", 2, "few"),
    ("score run --source nothing", 1, "Unknown source 'nothing'"),
    ("report none", 1, "There is no card or run folder 'none'"),
    ("report run --n 0", 1, "--n: expected at least 1, got 0"),
    ("report run --out file", 1, "--out file: expected a folder, got a file"),
    ("data show films --out sheet.png", 1, "There is no dataset 'films' to show; expected one of sequences"),
    ("data show sequences --out sheet.jpg", 1, "sheet.jpg: expected a name that ends in .png"),
    ("data show sequences --out sheet.png --canvas 30", 1, "canvas: expected a multiple of 4"),
]


@pytest.mark.parametrize("arguments, code, message", OTHER)
def test_other_commands_refuse(arguments, code, message, place, capsys):
    refused(arguments, place, capsys, code, message)


def test_a_run_is_not_trained_over(place, capsys):
    refused(f"train colour --out run {' '.join(TINY)}", place, capsys, 1, "add --resume (resume=True) to go on with it")


@pytest.mark.parametrize("out", ["file/run", "/proc/ergosum/run"])
def test_a_folder_that_cannot_be_written_is_refused_before_training(out, place, capsys):
    refused(f"train colour --out {out} {' '.join(TINY)}", place, capsys, 1, "Choose a place that exists")


def test_nan_in_a_checkpoint_stops_a_resume(place, capsys):
    content = torch.load(place / "run" / "checkpoint.pt", weights_only=True)
    next(iter(content["model"].values())).fill_(torch.nan)
    torch.save(content, place / "run" / "checkpoint.pt")
    refused(f"train colour --out run --resume {' '.join(TINY)}", place, capsys, 1, "non-finite weights")


@pytest.mark.slow
def test_a_process_that_cannot_resume_says_so_in_one_line(place, command):
    torch.save({"model": {"log_step": torch.tensor(torch.nan)}}, place / "run" / "checkpoint.pt")
    process = command("train", "colour", "--out", "run", "--resume", *TINY, cwd=place)
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 1 and out == ""
    errors = without_warning(errors)
    assert errors.count("\n") == 1 and "holds non-finite weights in 'log_step'" in errors


@pytest.mark.parametrize("content", [{"weights": 1}, [1, 2], {"model": {}, "iteration": 3}])
def test_a_checkpoint_of_something_else_stops_a_resume(content, place, capsys):
    torch.save(content, place / "run" / "checkpoint.pt")
    refused(f"train colour --out run --resume {' '.join(TINY)}", place, capsys, 1, "checkpoint.pt")


def test_a_resume_with_other_sizes_is_refused(place, capsys):
    wider = " ".join(TINY).replace("energy.width 4", "energy.width 8")
    refused(f"train colour --out run --resume {wider}", place, capsys, 1, "task.model.energy.width was 4, now 8")


@pytest.mark.parametrize("command", ["score run --source digits", "control run --timeline colour:2", "report run"])
@pytest.mark.parametrize("harm", ["truncated", "nan", "missing", "recipe"])
def test_broken_weights_and_recipes_are_refused(command, harm, place, capsys):
    path = place / "run" / "model.safetensors"
    if harm == "truncated":
        path.write_bytes(path.read_bytes()[:1000])
    elif harm == "nan":
        save_weights(path, {k: v * torch.nan for k, v in load_weights(path).items()})
    elif harm == "missing":
        path.unlink()
    else:
        recipe = (place / "run" / "recipe.json").read_text()
        (place / "run" / "recipe.json").write_text(recipe.replace('"width": 4', '"width": "wide"'))
    words = {"truncated": "truncated or not safetensors", "nan": "non-finite weights", "missing": "is missing",
             "recipe": "width: expected an integer, got 'wide'"}  # fmt: skip
    refused(command, place, capsys, 1, words[harm])


def test_a_file_in_the_place_of_a_folder_is_named(place, capsys):
    Image.new("RGB", (36, 36)).save(place / "black.png")
    assert main(["decompose", "tetrominoes", "--start", "black.png", "--out", "text.png"]) == 1
    assert "text.png is a file, where a folder was expected" in capsys.readouterr().err
    assert (place / "text.png").read_text() == "hello"
