import math
from functools import partial

import pytest
import torch
from torch import Generator, nn

from ergosum.concepts.code_parts import FINE, SPREAD, corners, logits, nearest
from ergosum.concepts.codec import AttributeCodec
from ergosum.concepts.dependence import told_by
from ergosum.concepts.encoder import centred_at, recoloured
from ergosum.concepts.judge import Judge, drawn_so_far
from ergosum.concepts.space import AttributeCodes
from ergosum.data.attributed import Attribute
from ergosum.data.concept_scenes import ConceptScenes
from ergosum.part import Part

ATTRIBUTES = (Attribute("colour", ("red", "blue", "green")), Attribute("place", numbers=2))


def test_a_part_for_each_attribute_and_one_for_the_rest():
    codec = AttributeCodec(ATTRIBUTES, rest=3, width=4, place="place", side=16)
    assert [(p.start, p.stop) for p in codec.parts] == [(0, 3), (3, 5), (5, 8)] and codec.latent == 8
    images = torch.rand(5, 3, 16, 16)
    codes = codec.encode(images)
    assert codes.shape == (5, 8) and codec.decode(codes).shape == images.shape
    assert not torch.equal(codec.encode(images, Generator().manual_seed(0)), codes)


def test_values_say_where_parts_lie():
    codec = AttributeCodec(ATTRIBUTES, rest=3, width=4, side=16)
    values = torch.tensor([[0.0, 0.5, 1.0], [2.0, torch.nan, torch.nan], [torch.nan, 0.0, 0.0]])
    centre, deviation = codec.towards(values)
    torch.testing.assert_close(centre[0, :3], corners(torch.tensor([0]), 3)[0])
    torch.testing.assert_close(centre[0, 3:5], torch.tensor([0.0, 3**0.5]))
    assert (centre[1, 3:] == 0).all() and (centre[2, :3] == 0).all()
    assert deviation[0].tolist() == pytest.approx([0.3] * 3 + [0.05] * 2 + [1] * 3)
    assert deviation[2].tolist() == pytest.approx([1] * 3 + [0.05] * 2 + [1] * 3)


def test_corners_have_mean_0_and_deviation_1():
    every = corners(torch.arange(8), 8)
    torch.testing.assert_close(every.mean(0), torch.zeros(8), atol=1e-6, rtol=0)
    torch.testing.assert_close(every.square().mean(0), torch.ones(8))


def test_the_decoder_sees_corners_whatever_the_noise_of_parts():
    """The nearest other corner of n is sqrt(2 / (1/n (1 - 1/n))) away; that of two, 2.8, is the least, over 9 s."""
    for count in (2, 3, 8):
        at = corners(torch.arange(count), count)
        noise = SPREAD * torch.randn(200, count, count, generator=Generator().manual_seed(0)).clamp(-2, 2)
        torch.testing.assert_close(nearest((at + noise).flatten(0, 1)), at.repeat(200, 1), atol=1e-4, rtol=0)
    between = (corners(torch.tensor([0]), 3) + corners(torch.tensor([1]), 3)) / 2
    torch.testing.assert_close(nearest(between), between, atol=1e-5, rtol=0)  # as likely one as the other


def test_codes_that_densities_learn_have_the_noise_that_the_decoder_does_not_see():
    codec = AttributeCodec(ATTRIBUTES, rest=3, width=4, place="place", side=16)
    values = torch.tensor([[1.0, 0.2, 0.7]]).expand(400, 3)
    codes = codec.told(torch.rand(400, 3, 16, 16), values, Generator().manual_seed(0))
    apart = codes - codec.towards(values)[0]
    for part, wanted in ((slice(0, 3), SPREAD), (slice(3, 5), FINE)):  # of 800 numbers or more: 2.5 % deviation
        assert apart[:, part].std().item() == pytest.approx(wanted, rel=0.1)
    seen = codec.cleared(codes)
    torch.testing.assert_close(seen[:, :3], codec.towards(values)[0][:, :3], atol=1e-3, rtol=0)
    torch.testing.assert_close(seen[:, 3:], codes[:, 3:])


def test_fewer_channels_may_be_flattened():
    sizes = {thin: sum(p.numel() for p in AttributeCodec(ATTRIBUTES, rest=3, thin=thin).encoder.parameters())
             for thin in (0, 4)}  # fmt: skip
    assert sizes[4] < sizes[0] / 3
    assert AttributeCodec(ATTRIBUTES, rest=3, width=4, thin=2, side=16).encode(torch.rand(2, 3, 16, 16)).shape == (2, 8)


def shown(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of 16 pixels with two attributes: a bar on top or none, a block below of three colours; noise elsewhere.
    The two are not independent, but hardly dependent.
    """
    generator = Generator().manual_seed(0)
    values = torch.stack([torch.randint(k, (n,), generator=generator) for k in (2, 3)], 1).float()
    images = 0.2 * torch.rand(n, 3, 16, 16, generator=generator)
    images[:, :, 0:2, 4:12] = values[:, :1, None, None].expand(-1, 3, 2, 8)
    images[:, :, 12:14, 12:14] = torch.eye(3)[values[:, 1].long()][:, :, None, None].expand(-1, 3, 2, 2)
    return images, values


TWO = (Attribute("bar", ("none", "bar")), Attribute("block", ("red", "green", "blue")))


def test_a_local_decoder_draws_each_part_only_where_it_shows():
    codec = AttributeCodec(TWO, rest=2, width=4, side=16, local=True)
    assert codec.unseen
    codec.look(*shown(400))
    assert not codec.unseen
    gates = codec.decoder.gates  # of places of two pixels, and one more on each side
    bar, block = torch.zeros(8, 8), torch.zeros(8, 8)
    bar[0:2, 1:7], block[5:8, 5:8] = 1, 1
    assert torch.equal(gates[:2], bar.expand(2, 8, 8)) and torch.equal(gates[2:5], block.expand(3, 8, 8))
    assert (gates[5:] == 1).all()
    generator = Generator().manual_seed(0)
    with torch.no_grad():
        for weights in codec.decoder.parameters():  # modulations start at zero
            weights.add_(0.1 * torch.randn(weights.shape, generator=generator))
        codes = torch.randn(4, codec.latent, generator=generator)
        for part, gate in zip(codec.parts, (bar, block, torch.ones(8, 8)), strict=True):
            other = codes.clone()
            other[:, part] += 1.0
            change = (codec.decoder(other) - codec.decoder(codes)).abs().amax((0, 1)) > 1e-6
            reach = torch.nn.functional.max_pool2d(gate[None], 3, stride=1, padding=1)[0]  # of the last convolution
            assert torch.equal(change, reach.repeat_interleave(2, 0).repeat_interleave(2, 1).bool())


def test_where_values_show_is_kept_with_the_weights():
    codec, again = (AttributeCodec(TWO, rest=2, width=4, side=16, local=True) for _ in range(2))
    images, values = shown(400)
    values[::3, 0] = torch.nan  # told by nobody
    codec.look(images, torch.stack([values[:, 0], torch.full((400,), torch.nan)], 1))
    assert (codec.decoder.gates[2:5] == 1).all()  # nobody knows where it shows
    again.load_state_dict(codec.state_dict())
    assert not again.unseen and torch.equal(again.decoder.gates, codec.decoder.gates)
    assert codec.decoder.gates[0].sum() == 12
    with pytest.raises(ValueError, match="local: expected False of a codec with a place"):
        AttributeCodec(ATTRIBUTES, place="place", local=True)


def test_the_place_is_brought_to_the_middle():
    image = torch.zeros(1, 1, 16, 16)
    image[0, 0, 11, 4] = 1.0  # its middle is at (4.5, 11.5) of 16
    place = torch.tensor([[2 * 4.5 / 16 - 1, 2 * 11.5 / 16 - 1]])
    moved = centred_at(image, place)[0, 0]
    assert moved[7:9, 7:9].sum().item() == pytest.approx(1, abs=1e-5)  # the middle is between four pixels
    assert moved.sum().item() == pytest.approx(1, abs=1e-5)


def test_coordinates_from_a_place_are_not_the_same_again_one_side_further():
    """Of waves of whole turns across the image those at its two borders are nearly the same."""
    decoder = AttributeCodec(ATTRIBUTES, rest=3, width=4, place="place", side=32).decoder
    seen = []
    decoder.stem.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    code = torch.zeros(1, 8)
    code[0, 3:5] = 3**0.5  # at the lower right
    decoder(code)
    shifted = seen[0][0, len(seen[0][0]) // 2 :][2:]  # the coordinates themselves left out
    assert (shifted[:, :, 0] - shifted[:, :, -1]).abs().max() > 0.9
    plain = AttributeCodec(ATTRIBUTES, rest=3, width=4, side=32).decoder
    assert plain.stem.in_channels == 2 * 7 and decoder.stem.in_channels == 2 * 2 * 9


def test_dreams_are_parts_put_together_anew():
    codec = AttributeCodec(ATTRIBUTES, rest=3, width=4, place="place", side=16)
    values = torch.stack([torch.arange(6.0) % 3, torch.linspace(0, 1, 6), torch.linspace(1, 0, 6)], 1)
    codes, _ = codec.towards(values)
    codes[:, 5:] = torch.arange(6.0)[:, None]
    images, told, _ = codec.dream(codes, values, Generator().manual_seed(1))
    assert sorted(told[:, 0].tolist()) == sorted(values[:, 0].tolist()) and not torch.equal(told, values)
    torch.testing.assert_close(told[:, 1], 1 - told[:, 2])  # the numbers of a place stay together
    assert not torch.equal(told[:, 0].argsort(), told[:, 1].argsort())
    again = torch.cat([codec.towards(told)[0][:, :5], torch.full((6, 3), torch.nan)], 1)
    found = [(codec.decode(torch.cat([row[:5], torch.full((3,), r)])[None]).clamp(0, 1) - image[None]).abs().max()
             for row, image in zip(again, images, strict=True) for r in range(6)]  # fmt: skip
    least = torch.stack(found).view(6, 6)
    assert (least.min(1).values < 1e-5).all() and sorted(least.argmin(1).tolist()) == list(range(6))


def test_the_guesser_learns_what_the_encoder_hides():
    """Along the gradient of the loss the guess gets better by the guesser's weights, and worse by the encoder's."""
    torch.manual_seed(0)
    codec = AttributeCodec(ATTRIBUTES, rest=3, width=4, side=16, apart=1.0)
    codec.guesser[-1].weight.data *= 20  # of one that is sure, and wrong of some
    images, values = torch.rand(8, 3, 16, 16), torch.tensor([[0.0, 0.3, 0.4], [2.0, 0.9, torch.nan]]).repeat(4, 1)

    def guess(chance=False):
        rest = codec.told(images, values, Generator().manual_seed(0))[:, codec.parts[-1]]
        return codec.guesser.misguessed(codec.guesser(rest), values, chance)

    def gradients(f, module):
        return torch.cat([g.flatten() for g in torch.autograd.grad(f, list(module.parameters()), allow_unused=False)])

    def added(module):
        with_it = gradients(codec.loss(images, values, Generator().manual_seed(0), 1e-3)[0], module)
        codec.guesser, kept = None, codec.guesser
        without = gradients(codec.loss(images, values, Generator().manual_seed(0), 1e-3)[0], module)
        codec.guesser = kept
        return with_it - without

    torch.testing.assert_close(added(codec.encoder), -gradients(guess(True), codec.encoder), atol=1e-6, rtol=1e-3)
    whole = gradients(codec.loss(images, values, Generator().manual_seed(0), 1e-3)[0], codec.guesser)
    torch.testing.assert_close(whole, gradients(guess(), codec.guesser), atol=1e-6, rtol=1e-4)


def test_codes_gain_nothing_from_guesses_that_are_worse_than_none():
    codec = AttributeCodec(ATTRIBUTES, rest=3, width=4, side=16)
    values = torch.tensor([[0.0, 0.5, 0.5]])
    told, misguessed = codec.towards(values)[0], codec.guesser.misguessed
    none, wrong = torch.zeros(1, 5), torch.tensor([[-9.0, 9.0, 0.0, 7.0, 7.0]])
    assert misguessed(none, values).item() == pytest.approx(math.log(3), abs=1e-5)  # the place is in the middle
    assert misguessed(wrong, values) > 60
    assert misguessed(wrong, values, True).item() == pytest.approx(math.log(3) + 1, abs=1e-5)
    right = torch.cat([30 * told[:, :3], told[:, 3:5]], 1)
    assert misguessed(right, values, True) == misguessed(right, values) < 1e-5


def test_the_encoder_alone_is_kept_from_telling_values_in_the_rest(monkeypatch):
    """The loss grows by what the rest tells, times its weight, and the decoder learns nothing of it."""
    torch.manual_seed(0)
    codec = AttributeCodec(ATTRIBUTES, rest=3, width=4, side=16, apart=0.0)
    images, values = torch.rand(8, 3, 16, 16), torch.tensor([[0.0, 0.3, 0.4], [2.0, 0.9, torch.nan]]).repeat(4, 1)
    sizes = [sum(p.numel() for p in module.parameters()) for module in (codec.encoder, codec.decoder)]

    def gradients(f, *modules):
        return torch.cat([g.flatten() for g in torch.autograd.grad(f, list(nn.ModuleList(modules).parameters()))])

    def learned(weight):
        codec.hsic = weight
        loss = codec.loss(images, values, Generator().manual_seed(0), 1e-3)[0]
        return loss, *gradients(loss, codec.encoder, codec.decoder).split(sizes)

    assert torch.equal(learned(700.0)[0], learned(0.0)[0])  # nothing is drawn yet
    monkeypatch.setattr("ergosum.concepts.codec.drawn_so_far", lambda error, images: torch.tensor(0.5))
    (loss, encoder, decoder), (without, other, same) = learned(700.0), learned(0.0)
    told = told_by(codec.told(images, values, Generator().manual_seed(0))[:, codec.parts[-1]], ATTRIBUTES, values)
    torch.testing.assert_close(loss - without, 350 * told, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(encoder - other, 350 * gradients(told, codec.encoder), atol=1e-5, rtol=1e-2)
    assert (encoder - other).abs().max() > 1e-3
    assert torch.equal(decoder, same)


def test_at_the_end_the_kernel_takes_the_place_of_the_guesser(monkeypatch):
    monkeypatch.setattr("ergosum.concepts.codec.drawn_so_far", lambda error, images: 1.0)
    torch.manual_seed(0)
    codec = AttributeCodec(ATTRIBUTES, rest=3, width=4, side=16, apart=0.5, hsic=300.0, closing=0.25)
    images, values = torch.rand(8, 3, 16, 16), torch.tensor([[0.0, 0.3, 0.4], [2.0, 0.9, 0.1]]).repeat(4, 1)
    rest = codec.told(images, values, Generator().manual_seed(0))[:, codec.parts[-1]]

    def loss(progress):
        return codec.loss(images, values, Generator().manual_seed(0), 1e-3, progress=progress)[0].item()

    alone = [loss(0.0), loss(0.74), loss(0.75), loss(1.0)]
    codec.hsic, codec.guesser = 0.0, None
    guessed, told = alone[0] - loss(0.0), alone[2] - loss(1.0)
    assert alone[:2] == [alone[0]] * 2 and alone[2:] == [alone[2]] * 2
    assert told == pytest.approx(300 * told_by(rest, ATTRIBUTES, values).item(), rel=1e-3)
    assert abs(guessed - told) > 1e-3 < abs(told)
    for closing in (0.0, 1.1):
        with pytest.raises(ValueError, match=r"closing: expected a share of the updates, 0 < closing <= 1, got"):
            AttributeCodec(ATTRIBUTES, closing=closing)


def test_the_learning_rate_begins_anew_where_the_kernel_takes_over():
    """The codec is told how much of its own share of training has passed."""
    seen = []

    class Watched(AttributeCodec):
        def loss(self, *given, **named):
            seen.append(given[5])
            return super().loss(*given, **named)

    codec = Part(Watched, rest=3, width=4, hsic=0.1, closing=0.25)
    space = AttributeCodes(codec, share=0.8, attributes=ATTRIBUTES, side=16)
    assert space.stages == pytest.approx((0.6, 0.8))
    images, values = torch.rand(4, 3, 16, 16), torch.tensor([[0.0, 0.3, 0.4]]).repeat(4, 1)
    for progress in (0.0, 0.6, 0.72):
        space.told_loss(images, values, Generator().manual_seed(0), progress)
    assert seen == pytest.approx([0.0, 0.75, 0.9])
    whole, plain = (AttributeCodes(codec.but(**with_it), share=0.8, attributes=ATTRIBUTES, side=16)
                    for with_it in ({"closing": 1.0}, {"hsic": 0.0}))  # fmt: skip
    assert whole.stages == plain.stages == (0.8,)


def losses_of(codec, images, values, module, legible):
    """The loss at a weight of what is read, and its gradient by all weights of a module."""
    codec.legible = legible
    loss = codec.loss(images, values, Generator().manual_seed(0), 0.5)[0]
    return loss, torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(module.parameters()))])


def test_the_decoder_alone_learns_from_what_is_named_in_what_it_draws(monkeypatch):
    """The loss and the encoder's gradient stay; the decoder's grows by that of the cross-entropy times its weight."""
    torch.manual_seed(0)
    codec = AttributeCodec(ATTRIBUTES, rest=3, width=4, side=16, apart=0.0, tie=2.0)
    images, values = torch.rand(8, 3, 16, 16), torch.tensor([[0.0, 0.3, 0.4], [2.0, 0.9, 0.1]]).repeat(4, 1)
    losses = partial(losses_of, codec, images, values)

    for with_it, without in zip(losses(codec.decoder, 3.0), losses(codec.decoder, 0.0), strict=True):
        torch.testing.assert_close(with_it, without, rtol=0, atol=0)  # nothing of these images is drawn so far
    monkeypatch.setattr("ergosum.concepts.codec.drawn_so_far", lambda error, images: 0.5)
    for with_it, without in zip(losses(codec.encoder, 6.0), losses(codec.encoder, 0.0), strict=True):
        torch.testing.assert_close(with_it, without)
    generator = Generator().manual_seed(0)
    codes = codec.drawn(*codec.posterior(images, values), values, generator, 0.0).detach()
    dreamt, told, _ = codec.dream(codes, values, generator)
    named = torch.log_softmax(logits(codec.posterior(dreamt, told)[0][:, :3]), 1)
    entropy = -named.gather(1, told[:, :1].long()).mean()
    along = torch.cat([g.flatten() for g in torch.autograd.grad(entropy, list(codec.decoder.parameters()))])
    added = losses(codec.decoder, 6.0)[1] - losses(codec.decoder, 0.0)[1]
    assert along.norm() > 0
    torch.testing.assert_close(added, 3 * along, atol=1e-5, rtol=1e-3)
    whole = losses(codec.decoder, 3.0)[0]
    with torch.no_grad():  # as where a loss is only looked at
        assert codec.loss(images, values, Generator().manual_seed(0), 0.5)[0] == whole


def test_the_decoder_learns_that_a_judge_reads_what_it_draws(monkeypatch):
    """The loss and the encoder's gradient are the same at every weight, the judge's too; the decoder's grows by that of
    the cross-entropy times its weight, and times how far each value is behind true images.
    """
    torch.manual_seed(0)
    codec = AttributeCodec(ATTRIBUTES, rest=3, width=4, side=16, apart=0.0, tie=2.0, legible=1.0, judge=0.05)
    images, values = torch.rand(8, 3, 16, 16), torch.tensor([[0.0, 0.3, 0.4], [2.0, 0.9, 0.1]]).repeat(4, 1)
    losses = partial(losses_of, codec, images, values)

    for with_it, without in zip(losses(codec.decoder, 3.0), losses(codec.decoder, 0.0), strict=True):
        torch.testing.assert_close(with_it, without, rtol=0, atol=0)  # nothing of these images is drawn so far
    monkeypatch.setattr("ergosum.concepts.codec.drawn_so_far", lambda error, images: 0.5)
    for module in (codec.encoder, codec.judge):
        for with_it, without in zip(losses(module, 6.0), losses(module, 0.0), strict=True):
            torch.testing.assert_close(with_it, without)
    assert losses(codec.judge, 0.0)[1].norm() > 0
    seen = []
    codec.judge.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    losses(codec.judge, 0.0)
    assert len(seen) == 2 and torch.equal(seen[1], images) and not torch.equal(seen[0], images)
    codec.judge.through = 0.0  # so that it reads the same without its noise
    monkeypatch.setattr(codec.judge, "behind", lambda values: torch.where(values == 0, 1.0, 0.25))
    generator = Generator().manual_seed(0)
    codes = codec.drawn(*codec.posterior(images, values), values, generator, 0.0).detach()
    dreamt, told, _ = codec.dream(codes, values, generator)
    read, colour = codec.judge(dreamt, None, generator)[:, :3], told[:, 0].long()
    each = torch.nn.functional.cross_entropy(read, colour, reduction="none")
    entropy = (torch.where(colour == 0, 1.0, 0.25) * each).mean()
    along = torch.cat([g.flatten() for g in torch.autograd.grad(entropy, list(codec.decoder.parameters()))])
    added = losses(codec.decoder, 6.0)[1] - losses(codec.decoder, 0.0)[1]
    assert along.norm() > 0
    torch.testing.assert_close(added, 3 * along, atol=1e-5, rtol=1e-3)
    whole = losses(codec.decoder, 3.0)[0]
    with torch.no_grad():  # as where a loss is only looked at
        torch.testing.assert_close(codec.loss(images, values, Generator().manual_seed(0), 0.5)[0], whole)


class Looks(torch.nn.Module):
    """Reads nothing, and keeps what it was shown."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, images):
        self.seen.append((images + 1) / 2)
        return torch.zeros(len(images), 5)


def test_the_judge_reads_true_images_too_through_noise_around_the_place():
    codec = AttributeCodec(ATTRIBUTES, rest=3, width=4, side=16, place="place", legible=1.0, judge=0.05)
    codec.judge.reads = looks = Looks()
    grey, values = torch.full((400, 3, 16, 16), 0.5), torch.tensor([[1.0, 0.5, 0.5]]).repeat(400, 1)
    told, _ = codec.judged(grey, values, Generator().manual_seed(0))
    assert told.item() == pytest.approx(math.log(3), abs=1e-5)  # of the shape alone: a place is no named value
    # 307,200 numbers: the deviation is known to .05 / sqrt(614,400) = 6e-5
    assert (looks.seen[0] - grey).std().item() == pytest.approx(0.05, abs=4e-4)
    codec.judge.through = 0.0
    spot = torch.zeros(1, 3, 16, 16)
    spot[:, :, 10:12, 4:6] = 1.0
    codec.judged(spot, torch.tensor([[1.0, 5 / 16, 11 / 16]]), Generator())
    assert looks.seen[-1][0, :, 7:9, 7:9].min() > 0.99 and looks.seen[-1].sum().item() == pytest.approx(12, abs=1e-3)
    assert codec.judged(spot, torch.full((1, 3), torch.nan), Generator()) == (0, 0)


def test_a_judge_of_images_of_which_nothing_is_told_teaches_nothing(monkeypatch):
    monkeypatch.setattr("ergosum.concepts.codec.drawn_so_far", lambda error, images: 1.0)
    codec = AttributeCodec(ATTRIBUTES, rest=3, width=4, side=16, legible=1.0, judge=0.05)
    images, values = torch.rand(6, 3, 16, 16), torch.full((6, 3), torch.nan)
    with_it, without = (losses_of(codec, images, values, codec.decoder, weight) for weight in (5.0, 0.0))
    torch.testing.assert_close(with_it, without)


def test_a_value_counts_as_far_as_it_is_read_worse_than_in_true_images():
    judge, red = Judge(5, 3, 4, 0.05), torch.tensor([0, 0, 0])
    assert judge.behind(torch.tensor([0, 4])).tolist() == [1, 1]  # nothing is known
    judge.remember(torch.tensor([0.1, 0.2, 0.3]), red, False)
    assert judge.behind(red).tolist() == [1, 1, 1]
    judge.remember(torch.tensor([0.4]), red[:1], True)
    judge.remember(torch.tensor([0.6, 0.1]), torch.tensor([1, 2]), False)
    judge.remember(torch.tensor([0.3, 0.1]), torch.tensor([1, 2]), True)
    judge.remember(torch.zeros(1), torch.tensor([4]), False)
    judge.remember(torch.zeros(1), torch.tensor([4]), True)
    assert judge.behind(torch.tensor([4])).item() == 0  # both are read without doubt
    # true .2, drawn .4; true .6, drawn .3; as well; never seen
    assert judge.behind(torch.arange(4)).tolist() == pytest.approx([0.5, 0.0, 0.0, 1.0])
    for _ in range(100):
        judge.remember(torch.tensor([0.3]), red[:1], True)
    earlier, later = 0.985**102, sum(0.985**k for k in range(100))  # two updates had passed
    left = 1 - 0.2 * (earlier + later) / (0.4 * earlier + 0.3 * later)
    assert judge.behind(red[:1]).item() == pytest.approx(left, abs=1e-5)


def test_drawn_and_true_images_are_remembered_apart():
    codec = AttributeCodec(ATTRIBUTES, rest=3, width=4, side=16, legible=1.0, judge=0.05)
    images, values = torch.rand(6, 3, 16, 16), torch.tensor([[1.0, 0.5, 0.5], [torch.nan, 0.5, 0.5]]).repeat(3, 1)
    codec.judged(images, values, Generator().manual_seed(0))
    assert codec.judge.read[0, 1].tolist() == [0, 3, 0, 0, 0] and (codec.judge.read[1] == 0).all()
    whole, behind = codec.judged(images, values, Generator().manual_seed(0), drawn=True)
    assert codec.judge.read[1, 1].tolist() == [0, 3, 0, 0, 0] and whole > 0 == behind  # they are the same images
    with torch.no_grad():  # as where a loss is only looked at
        codec.judged(images, values, Generator().manual_seed(0))
    assert codec.judge.read[0, 1].tolist() == [0, 3, 0, 0, 0]


def test_all_attributes_are_remembered_once_in_an_update():
    attributes = (*ATTRIBUTES, Attribute("size", ("small", "large")))
    codec = AttributeCodec(attributes, rest=3, width=4, side=16, legible=1.0, judge=0.05)
    images, values = torch.rand(6, 3, 16, 16), torch.tensor([[1.0, 0.5, 0.5, 0.0]]).repeat(6, 1)
    for _ in range(2):
        codec.judged(images, values, Generator().manual_seed(0))
    counted = 6 * (1 + 0.985)
    assert codec.judge.read[0, 1].tolist() == pytest.approx([0, counted, 0, 0, 0, counted, 0])


def test_drawn_images_are_judged_in_other_colours_too(monkeypatch):
    monkeypatch.setattr("ergosum.concepts.codec.drawn_so_far", lambda error, images: 1.0)
    attributes = (*ATTRIBUTES, Attribute("size", ("small", "large")))
    codec = AttributeCodec(attributes, rest=3, width=4, side=16, legible=1.0, judge=0.05, hue="colour")
    seen = []
    codec.judge.register_forward_pre_hook(lambda module, given: seen.append(given[0].detach()))
    plain = []
    monkeypatch.setattr(
        "ergosum.concepts.codec.recoloured",
        lambda images, p, g: plain.append(images.detach()) or recoloured(images, p, g),
    )
    values = torch.tensor([[1.0, 0.5, 0.5, 0.0], [0.0, 0.2, 0.7, 1.0]]).repeat(20, 1)
    codec.loss(torch.rand(40, 3, 16, 16), values, Generator().manual_seed(0), 1e-3)[0].backward()
    for before, after in zip(plain, seen, strict=True):
        same = ((before - after).abs().amax((1, 2, 3)) < 1e-6).float().mean().item()
        assert abs(same - 0.5) < 4 * 0.5 / 40**0.5
    assert len(seen) == 2 and codec.judge.read[1, 1, 5:].tolist() != [0, 0]


def test_the_judge_sees_half_of_all_images_in_colours_of_which_nothing_is_told():
    codec = AttributeCodec(ATTRIBUTES, rest=3, width=4, side=16, legible=1.0, judge=0.05, hue="colour")
    codec.judge.through, codec.judge.reads = 0.0, Looks()
    images, values = torch.rand(400, 3, 16, 16), torch.tensor([[1.0, 0.5, 0.5]]).repeat(400, 1)
    told, _ = codec.judged(images, values, Generator().manual_seed(0))
    same = (codec.judge.reads.seen[0] - images).abs().amax((1, 2, 3)) < 1e-6
    assert abs(same.float().mean().item() - 0.5) < 4 * 0.5 / 20 and told.item() == pytest.approx(math.log(3), abs=1e-5)
    assert codec.judge.read[0, 1].sum() == same.sum() and not values.isnan().any()
    with pytest.raises(ValueError, match=r"hue: expected judge > 0 and legible > 0 beside it, got 0\.1 and 0\.0"):
        AttributeCodec(ATTRIBUTES, judge=0.1, hue="colour")
    with pytest.raises(ValueError, match="hue: expected the name of an attribute of named values"):
        AttributeCodec(ATTRIBUTES, hue="place")
    with pytest.raises(ValueError, match="got 'colour' of images of 1"):
        AttributeCodec(ATTRIBUTES, hue="colour", channels=1)


TRAINING = ("judge.", "guesser.")
"""What only training needs."""


def test_weights_without_a_judge_and_a_guesser_leave_them_as_they_are():
    codec, other = (AttributeCodec(ATTRIBUTES, rest=3, width=4, side=16, legible=1.0, judge=0.05) for _ in range(2))
    before = {name: w.clone() for name, w in other.state_dict().items()}
    other.load_state_dict({name: w for name, w in codec.state_dict().items() if not name.startswith(TRAINING)})
    for name, weight in other.state_dict().items():
        assert torch.equal(weight, (before if name.startswith(TRAINING) else codec.state_dict())[name])
    other.load_state_dict(codec.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(codec.parameters(), other.parameters(), strict=True))
    with pytest.raises(ValueError, match="judge: expected the deviation of noise, >= 0, got -1"):
        AttributeCodec(ATTRIBUTES, judge=-1.0)
    bare = AttributeCodec(ATTRIBUTES, rest=3, width=4, side=16)
    with pytest.raises(RuntimeError, match="judge"):
        bare.load_state_dict(codec.state_dict())


@pytest.mark.parametrize(("left", "weight"), [(0.0, 1.0), (0.25, 0.25), (0.5, 0.0), (2.0, 0.0)])
def test_what_is_named_counts_once_half_of_the_images_is_drawn(left, weight):
    images = torch.rand(6, 3, 4, 4, generator=Generator().manual_seed(0))
    error = left * (images - images.mean(0)).square().mean()
    assert drawn_so_far(error, images).item() == pytest.approx(weight, abs=1e-6)


def test_a_value_that_nobody_tells_is_not_named():
    codec = AttributeCodec(ATTRIBUTES, rest=3, width=4, side=16)
    assert codec.misnamed(torch.randn(4, 8), torch.full((4, 3), torch.nan)) == 0
    values = torch.tensor([[1.0, 0.5, 0.5]])
    assert codec.misnamed(codec.towards(values)[0], values) < 1e-4
    assert codec.misnamed(codec.towards(values)[0], torch.tensor([[2.0, 0.5, 0.5]])) > 10


def test_what_is_told_by_nobody_is_not_guessed():
    codec = AttributeCodec(ATTRIBUTES, rest=3, width=4, side=16)
    assert codec.guesser.misguessed(torch.randn(4, 5), torch.full((4, 3), torch.nan)) == 0
    assert AttributeCodec(ATTRIBUTES, rest=3, width=4, side=16, apart=0.0).guesser is None


def test_where_something_is_moves_it():
    """Shifting the place by whole steps of the grid shifts what depends on it alone, away from the edges."""
    torch.manual_seed(0)
    codec = AttributeCodec(ATTRIBUTES, rest=3, width=4, place="place", side=16)
    codec.decoder.stem.weight.data[:, :18] = 0  # the coordinates of the image itself
    codec.decoder.out.weight.data[:, :, [0, 2]] = 0  # a last layer that sees one point
    codec.decoder.out.weight.data[:, :, :, [0, 2]] = 0
    z = torch.randn(1, 8)
    moved = z.clone()
    moved[0, 3] += 12**0.5 * 2 / 7 / 2  # two of seven steps between the eight points of half the image's side
    here, there = codec.decode(z), codec.decode(moved)
    torch.testing.assert_close(there[..., 2:], here[..., :-2], atol=1e-5, rtol=0)


def test_it_learns_to_put_what_is_told_into_its_parts():
    torch.manual_seed(0)
    data = ConceptScenes(count=64)
    codec, generator = AttributeCodec(data.attributes, place="place", width=8, rest=2), Generator().manual_seed(0)
    optimiser = torch.optim.Adam(codec.parameters(), 3e-3)
    first = None
    for _ in range(160):
        batch = data.attributed(16, generator)
        loss, error = codec.loss(batch.images, batch.values, generator, 2e-5)
        first = error if first is None else first
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert error < 0.5 * first
    batch = data.attributed(64, generator)
    apart = (codec.encode(batch.images) - codec.towards(batch.values)[0])[:, codec.parts[3]].square().mean()
    alone = codec.towards(batch.values)[0][:, codec.parts[3]].var()
    assert apart < 0.5 * alone  # the place is read


def test_a_place_must_be_an_attribute_of_two_numbers():
    with pytest.raises(ValueError, match="expected the name of an attribute of two numbers, or none, got 'colour'"):
        AttributeCodec(ATTRIBUTES, place="colour")
