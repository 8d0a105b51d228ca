import pytest
import torch
from torch import Generator

from ergosum.data import ConceptScenes, PartlyTold
from ergosum.data.attributed import Attribute, columns, retold
from ergosum.part import Part

SCENES = Part(ConceptScenes, count=12)


def test_only_what_is_told_is_there():
    data, whole = PartlyTold(SCENES, told=("place", "shape")), ConceptScenes(count=12)
    assert [a.name for a in data.attributes] == ["place", "shape"] and (data.side, data.channels) == (32, 3)
    made, true = (d.attributed(7, Generator().manual_seed(1)) for d in (data, whole))
    assert torch.equal(made.images, true.images)
    assert torch.equal(made.values, true.values[:, [3, 4, 0]])
    assert torch.equal(data.read(made.images), whole.read(made.images)[:, [3, 4, 0]])
    assert data.digest() == whole.digest() and len(PartlyTold(SCENES).attributes) == 4


def test_what_is_listed_and_not_told_has_no_value_in_training():
    settings = {"data": SCENES, "told": ("place",), "among": ("shape", "place")}
    train, test = (PartlyTold(**settings, split=split).attributed(5, Generator()) for split in ("train", "test"))
    assert train.values.shape == (5, 3) and train.values[:, 0].isnan().all() and not train.values[:, 1:].isnan().any()
    assert not test.values.isnan().any()


@pytest.mark.parametrize(
    "settings", [{"told": ("weight",)}, {"among": ("weight",)}, {"told": ("shape",), "among": ("size",)}]
)
def test_names_that_there_are_not_are_refused(settings):
    with pytest.raises(ValueError, match="told, among: expected some of shape, colour, size, place"):
        PartlyTold(SCENES, **settings)


def test_a_table_of_other_attributes():
    a, b, c = Attribute("a", ("x", "y")), Attribute("b", numbers=2), Attribute("c", ("u", "v"))
    values = torch.tensor([[1.0, 0.2, 0.3]])
    made = retold(values, (a, b), (b, c, a))
    assert made[0, [0, 1, 3]].tolist() == pytest.approx([0.2, 0.3, 1.0]) and made[0, 2].isnan()
    assert columns((b, c, a))[2] == slice(3, 4)
    with pytest.raises(ValueError, match="a: expected values x, z, as it was told before, got values x, y"):
        retold(values, (a, b), (Attribute("a", ("x", "z")),))
