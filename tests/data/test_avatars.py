"""Drawn faces: what is drawn is what DiceBear draws, is as told, and is read again."""

import importlib
from itertools import combinations, product

import pytest
import torch
from torch.nn import functional as F

from ergosum.data import Avatars, avatar_styles
from ergosum.data.attributed import told
from ergosum.data.avatar_styles import ATTRIBUTES, COLOURS, GROUNDS, STYLES, licence, options_of, pixels

for needed in ("dicebear", "dicebear_styles", "resvg_py"):
    pytest.importorskip(needed, reason="faces are drawn with the extra: pip install 'ergosum[faces]'")

STYLED = ["pixel-art", *(pytest.param(s, marks=pytest.mark.slow) for s in STYLES if s != "pixel-art")]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def blurred(images, sigma):
    bell = torch.exp(-torch.arange(-4, 5.0).square() / (2 * sigma**2))
    kernel = (bell[:, None] * bell / bell.sum() ** 2).expand(3, 1, -1, -1)
    return F.conv2d(F.pad(images, (4,) * 4, mode="replicate"), kernel, groups=3)


@pytest.mark.parametrize("style", STYLED)
def test_a_face_is_the_one_that_dicebear_draws_as_a_whole(style):
    """The layers laid on each other, against one drawing of all chosen parts: only rounding may differ, but for the
    noses of personas, which are blended with the skin there and drawn by themselves here.
    """
    most, mean = (0.25, 0.01) if style == "personas" else (0.04, 0.003)
    data, dicebear = Avatars(style, 32), importlib.import_module("dicebear")
    options, whole = options_of(style), dicebear.Style(avatar_styles._definition(style))
    parts = {part.component: part for part in STYLES[style].parts}
    generator, drawable = seeded(3), data._drawable
    for _ in range(6):
        numbers = torch.tensor([[int(torch.randint(len(a.values), (), generator=generator)) for a in ATTRIBUTES]])
        choice = torch.stack([d.choose(numbers, torch.rand(1, generator=generator)) for d in drawable], 1)
        chosen = {"seed": "", "backgroundColor": ["#c0ffee"], **STYLES[style].options}
        for name in whole.components():
            if name not in parts:
                chosen[f"{name}Probability"] = 0
        for (name, shown), number in zip(options.items(), choice[0].tolist(), strict=True):
            option = shown[number]
            if name == "skin":
                chosen["skinColor"] = [option.colour]
                continue
            chosen[f"{name}Probability"] = 100 if option.variant else 0
            if option.variant:
                chosen[f"{name}Variant"] = option.variant
            if option.variant and option.colour:
                chosen[f"{parts[name].colour}Color"] = [option.colour]
        drawn = torch.from_numpy(pixels(dicebear.Avatar(whole, chosen).to_string(), 32))[:3] / 255
        ours = data._layers.compose(choice, torch.tensor([[0xC0, 0xFF, 0xEE]]) / 255)[0]
        difference = (drawn - ours).abs()
        assert difference.max() < most and difference.mean() < mean, style


def test_values_are_uniform_and_what_is_left_out_is_never_shown():
    data, free = Avatars(side=32, hold="latin"), Avatars(side=32, hold="latin", split="test")
    values = data.attributed(1200, seeded()).values
    assert not data.held_out(values).any()
    for column, attribute in enumerate(ATTRIBUTES):
        share = 1 / len(attribute.values)
        counts = torch.bincount(values[:, column].long(), minlength=len(attribute.values))
        assert ((counts / 1200 - share).abs() < 4.5 * (share * (1 - share) / 1200) ** 0.5).all(), attribute.name
    for a, b in combinations(range(6), 2):
        sizes = len(ATTRIBUTES[a].values), len(ATTRIBUTES[b].values)
        counts = torch.bincount((values[:, a] * sizes[1] + values[:, b]).long(), minlength=sizes[0] * sizes[1])
        share = 1 / (sizes[0] * sizes[1])
        assert ((counts / 1200 - share).abs() < 4.5 * (share / 1200) ** 0.5).all(), (a, b)
    held = free.held_out(free.attributed(1200, seeded()).values).float().mean()
    assert abs(held - 0.5) < 4.5 * (0.25 / 1200) ** 0.5
    triples = torch.stack([told(ATTRIBUTES, smile=s, glasses=g, beard=b) for s, g, b in product((0, 1), repeat=3)])
    assert data.held_out(triples).sum() == 4 and not data.held_out(told(ATTRIBUTES, smile="smiling")[None]).any()
    assert data.held_out(told(ATTRIBUTES, smile="smiling", glasses="glasses", beard="beard")[None]).all()
    assert not Avatars(side=32).held_out(triples).any()


@pytest.mark.parametrize("style", STYLED)
def test_faces_are_read_as_they_were_drawn_also_blurred_and_with_noise(style):
    data = Avatars(style, 32, split="test")
    images, values = data.attributed(200, seeded(1))
    assert (data.read(images) == values).float().mean(0).min() == 1
    worn = blurred(images, 0.5) + 0.02 * torch.randn(images.shape, generator=seeded(2))
    assert (data.read(worn.clamp(0, 1)) == values).float().mean(0).min() >= 0.98


@pytest.mark.parametrize("style", STYLED)
def test_nothing_is_read_of_what_is_no_face(style):
    data, generator = Avatars(style, 32), seeded(4)
    faces = data.attributed(30, generator).images
    plain = torch.cat([torch.rand(20, 3, 1, 1, generator=generator), GROUNDS[:, :, None, None]]).expand(-1, -1, 32, 32)
    skins = torch.tensor([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in COLOURS["skin"]])
    noise = torch.rand(30, 3, 32, 32, generator=generator)
    for name, images in {
        "plain": plain, "skin alone": skins[:, :, None, None].expand(-1, -1, 32, 32), "noise": noise,
        "aside": faces.roll(8, 3),
        "upper half": torch.cat([faces[:, :, :16], torch.full_like(faces[:, :, 16:], 0.5)], 2),
    }.items():  # fmt: skip
        assert data.read(images.contiguous()).isnan().all(), name


def test_a_hidden_mouth_is_not_read_while_the_rest_is():
    data = Avatars(side=32)
    values = told(ATTRIBUTES, beard="no_beard", skin="tan_skin", glasses="no_glasses").repeat(40, 1)
    images, values = data.showing(values, seeded(5))
    images[:, :, 18:24, 12:20] = torch.tensor([0xE0, 0xAC, 0x7E])[:, None, None] / 255
    read = data.read(images)
    assert read[:, 0].isnan().all() and (read[:, [1, 2, 3, 5]] == values[:, [1, 2, 3, 5]]).float().mean() > 0.95


@pytest.mark.slow
def test_large_images_are_read_too():
    data = Avatars(side=64)
    images, values = data.attributed(100, seeded())
    assert images.shape == (100, 3, 64, 64) and torch.equal(data.read(images), values)


def test_the_same_seed_draws_the_same_bits_and_values_given_are_kept():
    data = Avatars(side=32)
    first, second = data.attributed(20, seeded()), data.attributed(20, seeded())
    assert torch.equal(first.images, second.images) and torch.equal(first.values, second.values)
    assert len(first.images.flatten(1).unique(dim=0)) == 20
    asked = told(ATTRIBUTES, smile="smiling", hair_colour="white_hair").repeat(8, 1)
    drawn = data.showing(asked, seeded()).values
    assert torch.equal(torch.where(asked.isnan(), asked, drawn).nan_to_num(9), asked.nan_to_num(9))
    assert not drawn.isnan().any()


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"style": "cubist"}, "style: expected one of pixel-art"), ({"side": 48}, "side: expected 32 or 64"),
     ({"hold": "all"}, "hold: expected"), ({"split": "all"}, "split: expected")],
)  # fmt: skip
def test_wrong_settings_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        Avatars(**settings)


def test_wrong_values_and_sizes_are_refused():
    data = Avatars(side=32)
    with pytest.raises(ValueError, match="n >= 1"):
        data.attributed(0, seeded())
    with pytest.raises(ValueError, match=r"values \(n, 6\)"):
        data.showing(torch.zeros(2, 5), seeded())
    with pytest.raises(ValueError, match="number of a value"):
        data.showing(torch.full((1, 6), 7.0), seeded())
    with pytest.raises(ValueError, match="32 or 64 pixels"):
        data.read(torch.zeros(1, 3, 40, 40))


def test_without_the_extra_one_line_says_what_to_install(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(avatar_styles.importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r"pip install 'ergosum\[faces\]'") as said:
        Avatars()
    assert "\n" not in str(said.value)


def test_a_damaged_cache_says_so():
    data = Avatars(side=32)
    (path,) = avatar_styles.cache_folder("avatars").glob("pixel-art-32-*.npz")
    content = path.read_bytes()
    try:
        path.write_bytes(content[:1000])
        with pytest.raises(OSError, match="is damaged"):
            Avatars(side=32)
    finally:
        path.write_bytes(content)
    assert torch.equal(Avatars(side=32)._layers.options[0], data._layers.options[0])


def test_every_style_has_a_licence_and_authors():
    assert {style: licence(style)[:2] for style in STYLES} == {
        "pixel-art": ("CC0 1.0", "DiceBear"),
        "personas": ("CC BY 4.0", "Draftbit - draftbit.com"),
        "avataaars": ("Free for personal and commercial use", "Pablo Stanley"),
    }
