"""CelebA's own folder, made small: what it tells, and each way that it can be wrong."""

import pytest
import torch
from PIL import Image

from ergosum.data import CelebA
from ergosum.data.image_file import UnreadableImage

NAMES = ("5_o_Clock_Shadow", "Eyeglasses", "Smiling")


@pytest.fixture
def folder(tmp_path):
    """Twenty images of 18 x 22 pixels: red in the middle square where Smiling, blue elsewhere, green outside of it."""
    (tmp_path / "img_align_celeba").mkdir()
    lines, parts = ["20", " ".join(NAMES) + " "], []
    for n in range(20):
        name, smiling = f"{n + 1:06d}.png", n % 2 == 0
        image = Image.new("RGB", (18, 22), (0, 255, 0))
        image.paste((10 * n + 40, 0, 0) if smiling else (0, 0, 10 * n + 40), (0, 2, 18, 20))
        image.save(tmp_path / "img_align_celeba" / name)
        lines.append(f"{name} -1 {1 if n % 3 == 0 else -1:2d} {1 if smiling else -1:2d}")
        parts.append(f"{name} {0 if n < 10 else 1 if n < 14 else 2}")
    (tmp_path / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "list_eval_partition.txt").write_text("\n".join(parts) + "\n")
    return tmp_path


def test_images_and_values_belong_together_and_parts_are_those_of_the_list(folder):
    data = [CelebA(folder, ("Smiling", "5_o_Clock_Shadow"), side=12, split=split) for split in ("train", "test")]
    assert [len(part) for part in data] == [10, 6] and not set(data[0].files) & set(data[1].files)
    smile, shadow = data[0].attributes
    assert (smile.name, smile.values) == ("smiling", ("smiling", "not_smiling"))
    assert shadow.values == ("has_5_o_clock_shadow", "not_has_5_o_clock_shadow")
    for part in data:
        images, values = part.attributed(40, torch.Generator().manual_seed(0))
        assert images.shape == (40, 3, 12, 12) and images.dtype == values.dtype == torch.float32
        reddish = images[:, 0].mean((1, 2)) > images[:, 2].mean((1, 2))
        assert torch.equal(values[:, 0], (~reddish).float()) and (values[:, 1] == 1).all()
        assert images[:, 1].max() == 0, "what lies outside of the middle square is cut off"
    again = data[1].attributed(40, torch.Generator().manual_seed(0))
    assert torch.equal(again.images, images) and data[0].digest() != data[1].digest()


def test_without_the_partition_it_is_by_the_order_of_the_list(folder):
    (folder / "list_eval_partition.txt").unlink()
    train, test = (CelebA(folder, ["Smiling"], split=split) for split in ("train", "test"))
    assert train.files == [f"{n:06d}.png" for n in range(1, 17)] and test.files == ["000019.png", "000020.png"]


@pytest.mark.parametrize(
    ("file", "change", "told"),
    [
        ("list_attr_celeba.txt", lambda text: None, "list_attr_celeba.txt is missing"),
        ("list_attr_celeba.txt", lambda text: text.replace("20\n", "Images\n", 1), "number of images in line 1"),
        ("list_attr_celeba.txt", lambda text: text.replace("20\n", "21\n", 1), "line 1 says 21 images, but 20 follow"),
        ("list_attr_celeba.txt", lambda text: text.replace("000002.png -1", "000002.png"), "line 4: expected the name"),
        ("list_attr_celeba.txt", lambda text: text.replace("000003.png -1", "000003.png 0"), "line 5: .* of 1 or -1"),
        ("list_attr_celeba.txt", lambda text: "0\n" + text.split("\n")[1], "at least one image, got none"),
        ("list_eval_partition.txt", lambda text: text.replace("png 0", "png 7", 1), "line 1: .* 0, 1 or 2"),
        ("list_eval_partition.txt", lambda text: text.split("\n", 1)[1], "1 images .* first: 000001.png"),
        ("list_eval_partition.txt", lambda text: text.replace("png 0", "png 1"), "no image is left for the part to tr"),
    ],
)  # fmt: skip
def test_each_way_a_list_can_be_wrong_is_said(folder, file, change, told):
    text = change((folder / file).read_text())
    (folder / file).unlink() if text is None else (folder / file).write_text(text)
    with pytest.raises((ValueError, FileNotFoundError), match=told) as said:
        CelebA(folder, ["Smiling"])
    assert "\n" not in str(said.value)


def test_wrong_settings_and_missing_images_are_refused(folder):
    for settings, told in [
        ({"attributes": ["Bald"]}, "no 'Bald'; expected some of 5_o_Clock_Shadow, Eyeglasses, Smiling"),
        ({"attributes": []}, "one name or more"), ({"attributes": "Smiling"}, "one name or more"),
        ({"attributes": ["Smiling", "Smiling"]}, "every name once"), ({"side": 3}, "side: expected at least 4"),
        ({"split": "all"}, "split: expected 'train' or 'test'"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=told):
            CelebA(folder, **({"attributes": ["Smiling"]} | settings))
    with pytest.raises(ValueError, match="n >= 1"):
        CelebA(folder, ["Smiling"]).attributed(0, torch.Generator())
    with pytest.raises(FileNotFoundError, match="No such folder of CelebA"):
        CelebA(folder / "none")
    (folder / "img_align_celeba" / "000002.png").write_bytes(b"no image")
    with pytest.raises(UnreadableImage, match=r"000002\.png could not be read"):
        CelebA(folder, ["Smiling"]).at(torch.tensor([1]))
    (folder / "img_align_celeba" / "000002.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 10 images of the list are missing, the first: 000002\.png"):
        CelebA(folder, ["Smiling"])
    (folder / "img_align_celeba").rename(folder / "elsewhere")
    with pytest.raises(FileNotFoundError, match=r"unpack img_align_celeba\.zip"):
        CelebA(folder, ["Smiling"])
