"""How far images are from true ones of the same values."""

import pytest
import torch
from PIL import Image
from torch import Generator

from ergosum.concepts import likeness
from ergosum.concepts.figures import likeness_sheet, sections
from ergosum.concepts.likeness import OTHERS, distance, distances, nearest_true, shows, where_read
from ergosum.concepts.scores import conjunctions, of_true_images, score_concepts, tables
from ergosum.concepts.task import ConceptDensities
from ergosum.data.attributed import Attribute, Attributed
from ergosum.data.avatars import Avatars
from ergosum.data.concept_scenes import ConceptScenes
from ergosum.part import Part
from ergosum.report.tables import as_text
from tests.concepts.exact import exact
from tests.concepts.test_reading_concepts import Data


class Turned:
    """Images of four pixels: the first is what the value says, the second anything, the others 0."""

    attributes = (Attribute("shade", ("dark", "bright")),)
    asked = 0

    def showing(self, values, generator):
        Turned.asked += len(values)
        images = torch.zeros(len(values), 1, 2, 2)
        images[:, 0, 0, 0], images[:, 0, 0, 1] = values[:, 0], torch.rand(len(values), generator=generator)
        return Attributed(images, values)


class Gone(ConceptScenes):
    """Data that are not at hand."""

    def __init__(self, split="train"):
        raise FileNotFoundError


def test_the_distance_is_that_of_what_values_tell():
    """What they do not tell is within 1 / 2 of one of K; of what they do, an error e of one pixel of 4 is e / 2."""
    values = torch.tensor([[0.0], [1.0]]).repeat(40, 1)
    images = Turned().showing(values, Generator().manual_seed(1)).images
    true = distances(Turned(), values, images, Generator().manual_seed(0))
    assert true.shape == (80,) and true.max() < 0.5 / 2 and true.mean() < 1 / (OTHERS + 1) / 2 * 1.5
    images[:, 0, 1, 1] = 0.3
    off = distances(Turned(), values, images, Generator().manual_seed(0))
    torch.testing.assert_close(off, (true.square() + 0.15**2).sqrt())
    found = nearest_true(Turned(), values, images, Generator().manual_seed(0))
    assert torch.equal(found[:, 0, 0, 0], values[:, 0]) and (found[:, 0, 1] == 0).all()
    wrong = distances(Turned(), 1 - values, images, Generator().manual_seed(0))
    assert (wrong > 0.5).all()


def test_some_are_compared_and_where_nothing_can_be_none(monkeypatch):
    monkeypatch.setattr(likeness, "COMPARED", 3)
    Turned.asked = 0
    values, images = torch.zeros(10, 1), torch.zeros(10, 1, 2, 2)
    images[:, 0, 1, 1] = 0.5
    told = distance(Turned(), values, images, 0)
    assert told == pytest.approx(0.25, abs=0.01) and Turned.asked == 3 * OTHERS
    assert distance(Data(), torch.zeros(10, 4), images, 0) is None
    assert distance(Turned(), torch.full((10, 1), torch.nan), images, 0) is None
    assert distance(Turned(), values[:0], images[:0], 0) is None


def test_numbers_count_where_they_are_read():
    attributes = (Attribute("shape", ("cube", "ball")), Attribute("place", numbers=2), Attribute("size", ("s", "l")))
    values, none = torch.tensor([[0.0, 0.1, 0.2, 1.0], [1.0, 0.3, 0.4, 0.0]]), torch.full((1, 4), torch.nan)
    read = torch.cat([torch.tensor([[1.0, 0.15, 0.25, 0.0]]), none])
    torch.testing.assert_close(where_read(attributes, values, read)[0], torch.tensor([0.0, 0.15, 0.25, 1.0]))
    assert torch.equal(where_read(attributes, values, read)[1], values[1])


def test_a_solid_in_two_colours_is_read_right_and_is_far_from_true_ones():
    data = ConceptScenes(hold="both", split="test", count=400)
    held = data.attributed(400, Generator().manual_seed(0))
    large = (held.values[:, 2] == 2) & (held.values[:, 0] == 0)
    images, values = held.images[large][:20], held.values[large][:20]
    caricatures = images.clone()
    caricatures[..., ::2, :] = caricatures[..., ::2, :] * torch.tensor([1.0, 0.8, 0.8])[:, None, None]
    true, off = (distance(data, values, x, 0) for x in (images, caricatures))
    blank = distance(data, values, held.images.mean(0, keepdim=True).expand_as(images), 0)
    assert 2 * true < off < blank and true < 0.02
    shown = data.showing(values, Generator().manual_seed(1))
    read = data.read(shown.images)
    assert torch.equal(shown.values, values) and (read[:, :3] == values[:, :3]).float().mean() > 0.9
    assert (read[:, 3:] - values[:, 3:]).norm(dim=1).median() < 1 / 32
    for wrong, told in ((values[:, :4], r"got \(20, 4\)"), (values * torch.nan, r"got \(20, 5\) with NaN")):
        with pytest.raises(ValueError, match=told):
            data.showing(wrong, Generator())


def test_conjunctions_tell_how_far_draws_are():
    values = torch.tensor([[0.0], [1.0]]).repeat(20, 1)

    class Held(Turned):
        def held_out(self, values):
            return values[:, 0] == 1

    def drawn(asked):
        return torch.full((len(asked), 1, 2, 2), 0.2)  # whatever is asked for, it is dark, and nothing is 0

    told = conjunctions(Turned.attributes, Held(), lambda images: images[:, 0, 0, :1], values, drawn)
    seen, unseen = (row["distance"] for row in told["conjunctions"])
    assert seen == pytest.approx((3 * 0.04 / 4) ** 0.5, abs=0.003)
    assert unseen == pytest.approx(((0.64 + 2 * 0.04) / 4) ** 0.5, abs=0.003)
    held = Held().showing(values, Generator().manual_seed(0))
    told |= of_true_images(Turned.attributes, Held(), lambda images: images[:, 0, 0, :1], held)
    assert told["reader"]["distance"] < 0.1 < told["mean_image"]["distance"]
    assert told["another_value"]["distance"] == pytest.approx(0.5, abs=0.01)
    (table,) = tables({**told, "n": 40})
    assert as_text(table).splitlines()[-1].split()[:2] == ["mean", "image"]
    assert [row["row"] for row in table.rows][-3:] == ["true images", "true images of another value", "mean image"]
    assert table.decimals["distance"] == 4 and table.title.endswith(
        "distance of 100 of each, at most, from true images"
    )


def test_data_that_show_no_given_values_are_scored_without(monkeypatch):
    monkeypatch.setattr("ergosum.density.sampling.LEVELS", 3)
    monkeypatch.setattr("ergosum.concepts.scores.random_formulas", lambda *_: [])
    told = score_concepts("exact", exact().float(), Data(), Data().read, 20, 0)
    assert "mean_image" not in told and all("distance" not in row for row in told["conjunctions"])
    assert likeness_sheet(exact().float(), Data(), Data().read, Generator()) is None
    assert not shows(Data()) and shows(ConceptScenes()) and not shows(ConceptScenes(objects=3))


def test_a_sheet_has_draws_above_the_true_images_that_are_nearest(monkeypatch):
    monkeypatch.setattr("ergosum.density.sampling.LEVELS", 3)

    class Showing(Data):
        def attributed(self, n, generator):
            record = super().attributed(n, generator)
            record.values[::2, 0] = torch.nan  # nobody tells
            return record

        def showing(self, values, generator):
            assert not values.isnan().any()
            return Attributed(torch.zeros(len(values), 1, 4, 4), values)

    asked = []
    monkeypatch.setattr("ergosum.concepts.figures.value_sheet", lambda *_: Image.new("RGB", (1, 1)))
    monkeypatch.setattr("ergosum.concepts.figures.formula_sheet", lambda *_: None)

    def sheet(rows, boxed):
        asked.extend(rows)
        return Image.new("RGB", (1, 1))

    monkeypatch.setattr("ergosum.concepts.figures.sheet", sheet)
    assert likeness_sheet(exact().float(), Showing(), None, Generator()) is None and not asked
    told = sections(exact().float(), {}, 0, Showing(), Showing().read)
    names = [name for name, _ in asked]
    assert names[0].endswith("training shows: draws") and names[2] == "values never shown together: draws"
    assert names[1] == names[3] == "nearest true images" and all(images.shape[1] == 3 for _, images in asked)
    assert (asked[1][1] == 0).all() and not (asked[0][1] == 0).all() and len(asked[0][1]) == 10
    assert told[1].heading == "Draws" and "the true images that are nearest" in told[1].html


def test_a_task_gives_its_report_the_test_part(monkeypatch):
    given = []
    monkeypatch.setattr("ergosum.concepts.figures.sections", lambda *arguments: given.append(arguments) or [])
    ConceptDensities(data=Part(ConceptScenes)).report("name", None, {}, 3, None)
    _, _, seed, data, read = given[-1]
    assert seed == 3 and data.split == "test" and read is not None
    ConceptDensities(data=Part(Gone)).report("name", None, {}, 3, None)
    assert given[-1][3:] == (None, None)


def test_of_images_that_ask_for_much_room_few_are_compared_at_once(monkeypatch):
    monkeypatch.setattr(likeness, "PIXELS", 4 * 3)
    asked = []

    class Counted(Turned):
        def showing(self, values, generator):
            asked.append(len(values))
            return super().showing(values, generator)

    assert nearest_true(Counted(), torch.zeros(7, 1), torch.zeros(7, 1, 2, 2), Generator()).shape == (7, 1, 2, 2)
    assert asked == [3 * OTHERS, 3 * OTHERS, OTHERS]


def test_faces_of_given_values_are_compared_too():
    pytest.importorskip("resvg_py")
    data = Avatars(side=32, split="test")
    held = data.attributed(12, Generator().manual_seed(0))
    true = distance(data, held.values, held.images, 0)
    other = distance(data, 1 - held.values.clamp(max=1), held.images, 0)
    assert true is not None and other is not None and 0 < true < other
