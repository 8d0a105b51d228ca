r"""A variational autoencoder whose code has a part for each attribute, and one for what nobody tells.

The rest $z_0$ of an image's code is drawn from $q(z_0 | x)$, and the part $z_a$ of an attribute whose value v is told
from $N(\mu_a(v), s^2)$, where the encoder is to find it:

$$ \|x - D(z)\|^2 / N + \beta \left[ KL(q(z_0 | x) \| N(0, 1))
   + \tau \sum_a KL(q(z_a | x) \| N(\mu_a(v_a), s^2)) \right] $$

(and $\lambda$ times the squared error of differences between neighbouring pixels).

What the values tell costs nothing in their parts, and every number of the rest does: so it is kept in the parts, each
apart from the others, and the rest keeps what is left. Values that were never shown together are then known parts side
by side, and a density that adds up over parts (`energy.py`) gives them mass.

That holds only if the rest does not tell the values once more; else parts put together anew draw ghosts, half of what
the parts tell and half of what the rest does. So the parts tell their values without noise: of a named value's part the
decoder sees the corner that it was most likely drawn around, $E[\mu_a(v) | z_a] = \sum_v p(v | z_a) \mu_a(v)$ with
values equally likely, and while it learns, numbers are exact. And a small network guesses the values from the rest,
no better than by chance if the encoder has its way (`apart`). What such a network does not see a kernel may (`hsic`).
Had from the start it leaves the rest nothing to say, so that it takes the network's place at the end (`closing`).

What a value changes in few pixels weighs little in the error of pixels, and is drawn halfway. So the decoder learns
also from what the encoder, or a judge (`judge.py`), reads in images decoded from parts put together anew (`legible`):
what parts tell must be seen there. Before images are drawn at all this leads astray, so that it counts by
$\max(0, 1 - 2r)^2$, with r the error as a share of that of the mean image.

The decoder is modulated by the code at every layer, so that what one part does multiplies what another does; an
attribute that says where something is in the image shifts the coordinates that it draws in (`decoders.py`).

Source: Kingma & Welling 2014, equation 10; conditional priors as in Sohn et al. 2015; learning to read what the decoder
draws is the sleep phase of Hinton et al. 1995, a decoder that draws so that it is read maximises the bound on mutual
information of Chen et al. 2016 (InfoGAN, equation 5). The parts are ours.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ergosum.concepts.code_parts import (
    FINE,
    SPREAD,
    centred,
    corners,
    divergences,
    logits,
    nearest,
    part_size,
    place_among,
)
from ergosum.concepts.decoders import Decoder, LocalDecoder
from ergosum.concepts.dependence import told_by
from ergosum.concepts.encoder import centred_at, looking, recoloured
from ergosum.concepts.guesser import Guesser
from ergosum.concepts.judge import Judge, as_new, drawn_so_far
from ergosum.data.attributed import Attribute, columns
from ergosum.nets.blocks import reduced, widen

__all__ = ["AttributeCodec"]

HALF = 2 / 12**0.5
"""Of a part that is a place, in half sides of an image from its middle."""


class AttributeCodec(nn.Module):
    """Convolutions to a quarter of the side, a code in parts, and a modulated way back.

    Args:
        attributes: of the images; the part of one with named values has a number for each of these, of one in numbers
            as many as they are. rest: numbers for what the attributes do not tell. width: channels at half of the side,
            twice as many at a quarter. tie: $\\tau$, how much more a part's distance from its value costs than the
            rest. edges: weight of the squared error of differences between neighbouring pixels, which tells shapes
            apart where flat ground counts for nothing. sleep: weight of reading values in images that are decoded from
            parts put together anew (`dream`); without, an encoder that never saw a grey sphere reads that it is none,
            by its colour. legible: weight of the cross-entropy of named values with what is read in such images, which
            the decoder minimises, so that what parts tell is seen however few pixels show it, once half of what images
            are is drawn; 0 for none. judge: deviation of the noise through which a judge of its own reads there
            (`judge.py`); 0 for none, then the encoder reads. hue: name of the attribute that says the colour; half of
            the judge's images are then recoloured (`recoloured`) and their colour is not told, so that it knows the
            other values in colours in which they were never shown; none if empty. apart: weight of the cross-entropy
            with which values are guessed from the rest: the guessing network minimises it, the encoder maximises it; 0
            for none. hsic: weight of how far the rest tells values (`dependence.py`), which the encoder minimises once
            half of what images are is drawn; 0 for none. closing: share of its updates, the last, in which `hsic` takes
            the place of `apart`, which without `hsic` holds to the end. place: name of the attribute whose two numbers
            say where something is, x to the right and y down; none if empty.
            recolour: probability that the encoder sees an image in other colours while it learns (`recoloured`), so
            that what it reads holds in colours that it never saw. beside: attributes that another code tells
            (`grown_codes.py`); their parts come before this code's in what the decoder sees. thin: channels left of the
            last map before it is flattened, which saves most weights of an encoder; 0 for all. local: whether each
            attribute is drawn only where it shows in the data (`LocalDecoder`), for images in which what values tell is
            always at the same place. channels, side: of an image, side a multiple of 4.
    Shape:
        images: (batch, channels, side, side) in [0, 1]. codes: (batch, D), D the sum over parts.
    Raises:
        ValueError: if the place is no attribute of two numbers, images without three colours are to be recoloured,
            noise is negative, the hue is no attribute of named values or there is no judge for it, `closing` is no
            share, or `local` does not go with a place.
    """

    def __init__(
        self,
        attributes: Sequence[Attribute] = (),
        rest: int = 8,
        width: int = 32,
        tie: float = 25.0,
        edges: float = 4.0,
        sleep: float = 1.0,
        legible: float = 0.0,
        apart: float = 0.01,
        hsic: float = 0.0,
        closing: float = 1.0,
        place: str = "",
        recolour: float = 0.0,
        beside: Sequence[Attribute] = (),
        thin: int = 0,
        local: bool = False,
        judge: float = 0.0,
        hue: str = "",
        channels: int = 3,
        side: int = 32,
    ) -> None:
        super().__init__()
        self.attributes, self.beside = (tuple(Attribute(*a) for a in given) for given in (attributes, beside))
        self.tie, self.edges, self.sleep, self.apart, self.recolour = tie, edges, sleep, apart, recolour
        self.legible, self.hsic, self.closing = legible, hsic, closing
        if not 0 < closing <= 1:
            raise ValueError(f"closing: expected a share of the updates, 0 < closing <= 1, got {closing!r}.")
        if not judge >= 0:
            raise ValueError(f"judge: expected the deviation of noise, >= 0, got {judge!r}.")
        if not 0 <= recolour <= 1 or (recolour and self.attributes and channels != 3):
            raise ValueError(
                f"recolour: expected a probability, and 0 of images without three colours, got {recolour!r} of images "
                f"of {channels}."
            )
        named = {a.name: at for a, at in zip(self.attributes, columns(self.attributes), strict=True) if a.values}
        if hue and self.attributes and (hue not in named or channels != 3):
            raise ValueError(
                f"hue: expected the name of an attribute of named values, and none of images without three colours, "
                f"got {hue!r} of images of {channels}."
            )
        if hue and not (judge and legible):
            raise ValueError(f"hue: expected judge > 0 and legible > 0 beside it, got {judge!r} and {legible!r}.")
        self.hue = named.get(hue)
        sizes = [part_size(a) for a in self.attributes] + [rest]
        ends = torch.tensor(sizes).cumsum(0).tolist()
        self.parts = tuple(slice(end - size, end) for size, end in zip(sizes, ends, strict=True))
        self.latent, self.coarse = ends[-1], reduced(side, 4)
        known = sum(part_size(a) for a in self.beside)
        self.place = place_among(place, (*self.beside, *self.attributes))
        own = None if self.place is None else slice(self.place.start - known, self.place.stop - known)
        self.sought = own if own is not None and own.start >= 0 else None
        self.finder = None if self.sought is None else looking(channels, width, thin, self.coarse, 4)
        self.encoder = looking(channels, width, thin, self.coarse, 2 * self.latent)
        wide = 2 * width if self.place else width
        if local and (self.beside or self.place):
            raise ValueError("local: expected False of a codec with a place, or beside another: parts show anywhere.")
        self.decoder: Any = (
            LocalDecoder(self.parts, channels, self.coarse) if local
            else Decoder(known + self.latent, wide, channels, self.coarse, self.place)
        )  # fmt: skip
        guesses = ends[-2] if len(ends) > 1 else 0
        self.guesser = Guesser(rest, self.attributes, self.parts[:-1]) if apart and guesses else None
        self.judge = Judge(guesses, channels, self.coarse, judge) if judge and legible and guesses else None
        self.register_load_state_dict_pre_hook(as_new)
        self.apply(_channels_last)

    def posterior(
        self, images: Tensor, values: Tensor | None = None, beside: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mean and deviation of the codes of images, each (batch, D); where the place is told, by values or by a part
        of `beside`, or found, everything else is read in the image moved so that it is in the middle.
        """
        if self.finder is None or self.sought is None:
            at = None if self.place is None or beside is None else beside[:, self.place]
            mean, log_deviation = self._looked(images, at)
            return mean, log_deviation.clamp(-8, 3).exp()
        found, doubt = widen(self.finder(2 * images - 1)).chunk(2, 1)
        at, own = found.detach(), self.sought
        if values is not None:
            at = torch.where(self.known(values)[:, own], self.towards(values)[0][:, own], at)
        mean, log_deviation = self._looked(images, at)
        mean = torch.cat([mean[:, : own.start], found, mean[:, own.stop :]], 1)
        log_deviation = torch.cat([log_deviation[:, : own.start], doubt, log_deviation[:, own.stop :]], 1)
        return mean, log_deviation.clamp(-8, 3).exp()

    def _looked(self, images: Tensor, at: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the deviation, read in images moved so that a part that is a place is in the middle."""
        seen = images if at is None else centred_at(images, at * HALF)
        mean, log_deviation = widen(self.encoder(2 * seen - 1)).chunk(2, 1)
        return mean, log_deviation

    def encode(self, images: Tensor, generator: Generator | None = None, beside: Tensor | None = None) -> Tensor:
        """Codes: the posterior's mean, or with a generator a draw of it; `beside` holds the parts that another code
        tells, (batch, their sum).
        """
        mean, deviation = self.posterior(images, None, beside)
        return mean if generator is None else mean + deviation * torch.randn(mean.shape, generator=generator).to(mean)

    def decode(self, codes: Tensor, beside: Tensor | None = None) -> Tensor:
        """Images, not clamped: near [0, 1]; `beside` as `encode`."""
        seen = self.cleared(codes) if beside is None else torch.cat([beside, self.cleared(codes)], 1)
        return (widen(self.decoder(seen)) + 1) / 2

    def cleared(self, codes: Tensor) -> Tensor:
        """Codes whose parts of named values are the corners that they were most likely drawn around."""
        parts = [codes[:, part] for part in self.parts]
        for n, attribute in enumerate(self.attributes):
            if attribute.values:
                parts[n] = nearest(parts[n])
        return torch.cat(parts, 1)

    def towards(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Where values say that codes lie, (batch, D), 0 where they say nothing, and with which deviation."""
        centre = values.new_zeros(len(values), self.latent)
        deviation = torch.ones_like(centre)
        for attribute, column, part in zip(self.attributes, columns(self.attributes), self.parts, strict=False):
            told = values[:, column]
            known = ~told.isnan().any(1, keepdim=True)
            held = told.nan_to_num()
            at = corners(held[:, 0].long(), len(attribute.values)) if attribute.values else centred(held)
            centre[:, part] = torch.where(known, at, 0.0)
            deviation[:, part] = torch.where(known, SPREAD if attribute.values else FINE, 1.0)
        return centre, deviation

    def told(self, images: Tensor, values: Tensor, generator: Generator, beside: Tensor | None = None) -> Tensor:
        """Codes as densities learn from them: of the posterior, but where values say, where these are told."""
        return self.drawn(*self.posterior(images, values, beside), values, generator)

    def drawn(
        self, mean: Tensor, deviation: Tensor, values: Tensor, generator: Generator, noise: float = 1.0
    ) -> Tensor:
        """Codes of images whose posterior is known; parts that values tell have so much of their noise."""
        centre, spread = self.towards(values)
        z = torch.randn(mean.shape, generator=generator).to(mean)
        return torch.where(self.known(values), centre + noise * spread * z, mean + deviation * z)

    def known(self, values: Tensor) -> Tensor:
        """Which numbers of a code are of parts that values tell, (batch, D) bool."""
        known = torch.zeros(len(values), self.latent, dtype=torch.bool, device=values.device)
        for column, part in zip(columns(self.attributes), self.parts, strict=False):
            known[:, part] = ~values[:, column].isnan().any(1, keepdim=True)
        return known

    @property
    def unseen(self) -> bool:
        """Whether the decoder has yet to see where values show (`look`)."""
        return isinstance(self.decoder, LocalDecoder) and not self.decoder.fitted

    def look(self, images: Tensor, values: Tensor) -> None:
        """Show the decoder where values show, in images (n, channels, side, side) with values (n, columns)."""
        named = [(part, values[:, column][:, 0])
                 for a, column, part in zip(self.attributes, columns(self.attributes), self.parts, strict=False)
                 if a.values]  # fmt: skip
        self.decoder.fit(images, named)

    @torch.no_grad()
    def start_from(self, older: "AttributeCodec") -> None:
        """Start where another codec ended, whose attributes, after those beside it, this one's decoder sees first.

        The new part begins at zero in the decoder, and at random in the encoder; the rest goes on where it has as many
        numbers. A codec of other widths gives nothing.
        """
        held, shared = dict(older.named_parameters()), sum(part_size(a) for a in self.beside)
        if any(
            own.shape != held[name].shape for name, own in self.named_parameters() if name.startswith("decoder.stem")
        ):
            return
        size = self.latent - self.parts[-1].start
        same = size == older.latent - older.parts[-1].start
        for name, own in self.named_parameters():
            if name not in held:
                continue
            if own.shape == held[name].shape:
                own.copy_(held[name])
            elif name.startswith("decoder") and own.ndim == 2:  # of the code, in columns
                own[:, shared : len(own[0]) - size] = 0
                own[:, :shared] = held[name][:, :shared]
                if same:
                    own[:, -size:] = held[name][:, -size:]
            elif name.startswith("encoder") and same:  # of means and deviations, in rows
                mine, theirs = own.unflatten(0, (2, -1)), held[name].unflatten(0, (2, -1))
                mine[:, -size:] = theirs[:, -size:]

    def loss(
        self, images: Tensor, values: Tensor, generator: Generator, divergence: float, beside: Tensor | None = None,
        progress: float = 1.0,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """The loss after a share of the codec's updates, `progress`, and the mean squared error alone, of pixels in
        [0, 1]; `beside` as `encode`.
        """
        mean, deviation = self.posterior(self._seen(images, generator), values, beside)
        codes = self.drawn(mean, deviation, values, generator, 0.0)
        made = self.decode(codes, beside)
        error = F.mse_loss(made, images)
        fine = sum(F.mse_loss(made.diff(dim=d), images.diff(dim=d)) for d in (2, 3))
        rest = self.parts[-1]
        kl = divergences(mean, deviation, torch.zeros_like(mean), torch.ones_like(mean))[:, rest].sum(1).mean()
        misread, unread = self.misread(mean, deviation, values), error.new_zeros(())
        if self.sleep or self.legible:
            with torch.set_grad_enabled(torch.is_grad_enabled() and self.legible > 0):
                dreamt, told, others = self.dream(codes.detach(), values, generator, beside)
            seen = dreamt.detach().requires_grad_(dreamt.requires_grad)
            read = self.posterior(self._seen(seen, generator), told, others)
            misread = misread + self.sleep * self.misread(*read, told)
            weight = self.legible * drawn_so_far(error.detach(), images)
            worse = None
            if self.judge is not None:
                unread, worse = self.judged(seen, told, generator, others, drawn=True)
                unread = unread + self.judged(images, values, generator, beside)[0]
            if dreamt.requires_grad:
                worse = self.misnamed(read[0], told) if worse is None else worse
                (slope,) = torch.autograd.grad(worse, seen, retain_graph=True)
                drawn = (slope * dreamt).sum()
                unread = unread + weight * (drawn - drawn.detach())  # its gradient is the decoder's alone, its value 0
        loss = error + self.edges * fine + divergence * (kl + self.tie * misread) + unread
        closing = self.hsic > 0 and progress >= 1 - self.closing
        if self.guesser is not None and not closing:
            loss = loss + self.apart * self.guesser.against(codes[:, rest], values)
        if closing:
            weight = self.hsic * drawn_so_far(error.detach(), images)
            loss = loss + weight * told_by(codes[:, rest], self.attributes, values)
        return loss, error.detach()

    def misnamed(self, mean: Tensor, values: Tensor) -> Tensor:
        """The cross-entropy of named values with what means of codes (batch, D) say, summed over attributes."""
        told = mean.new_zeros(())
        for attribute, column, part in zip(self.attributes, columns(self.attributes), self.parts, strict=False):
            if attribute.values:
                value = values[:, column][:, 0]
                known = ~value.isnan()
                each = F.cross_entropy(logits(mean[:, part]), value.nan_to_num().long(), reduction="none")
                told = told + (each * known).sum() / known.sum().clamp(min=1)
        return told

    def judged(
        self, images: Tensor, values: Tensor, generator: Generator, beside: Tensor | None = None, drawn: bool = False
    ) -> tuple[Tensor, Tensor]:
        """The cross-entropy of named values with what the judge reads in images, summed over attributes; and the same
        where each counts as far as it is read worse than in true images.
        """
        assert self.judge is not None
        at = beside[:, self.place] if beside is not None and self.place is not None else None
        if self.sought is not None:
            at = torch.where(self.known(values), self.towards(values)[0], 0.0)[:, self.sought]
        if self.hue is not None:
            images, changed = recoloured(images, 0.5, generator)
            values = values.clone()
            values[changed, self.hue] = torch.nan
        read = self.judge(images, None if at is None else at * HALF, generator)
        entropies, numbers = [], []
        for attribute, column, part in zip(self.attributes, columns(self.attributes), self.parts, strict=False):
            known = ~values[:, column].isnan().any(1)
            if attribute.values and known.any():
                value = values[known, column][:, 0].long()
                entropies.append(F.cross_entropy(read[known, part], value, reduction="none"))
                numbers.append(part.start + value)
        if numbers and torch.is_grad_enabled():
            self.judge.remember(torch.cat(entropies), torch.cat(numbers), drawn)
        whole = worse = 0 * read.sum()
        for each, number in zip(entropies, numbers, strict=True):
            whole, worse = whole + each.mean(), worse + (self.judge.behind(number) * each).mean()
        return whole, worse

    def _seen(self, images: Tensor, generator: Generator) -> Tensor:
        """What the encoder sees of images while it learns."""
        return recoloured(images, self.recolour, generator)[0] if self.recolour else images

    def misread(self, mean: Tensor, deviation: Tensor, values: Tensor) -> Tensor:
        """The divergence of posteriors from where values say that codes lie, summed over their parts."""
        return divergences(mean, deviation, *self.towards(values))[:, : self.parts[-1].start].sum(1).mean()

    def dream(
        self, codes: Tensor, values: Tensor, generator: Generator, beside: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Images decoded from parts of these codes (batch, D) put together anew, their values, and their parts
        `beside`: each attribute is taken from another image, whatever the others are.
        """
        orders = [self._order(codes, generator) for _ in self.parts]
        told = values.clone()
        for column, order in zip(columns(self.attributes), orders, strict=False):
            told[:, column] = values[order, column]
        parts = [codes[order, part] for order, part in zip(orders, self.parts, strict=True)]
        others = beside
        if beside is not None:
            each = beside.split([part_size(a) for a in self.beside], 1)
            others = torch.cat([part[self._order(codes, generator)] for part in each], 1)
        return self.decode(torch.cat(parts, 1), others).clamp(0, 1), told, others

    @staticmethod
    def _order(codes: Tensor, generator: Generator) -> Tensor:
        return torch.randperm(len(codes), generator=generator, device=generator.device).to(codes.device)


def _channels_last(module: nn.Module) -> None:
    """Half the time of convolutions of a few channels on CPUs."""
    if isinstance(module, nn.Conv2d):
        module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
