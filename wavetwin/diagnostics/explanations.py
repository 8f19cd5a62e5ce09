"""Say of each warning what it comes from, what helps, and a number that shows how much it matters.

Numbers are counted on graphs, follow from the taps, or were measured: docs/lint.md and
docs/wavelet-pooling.md say how. A test asks for an explanation of every rule.
"""

from __future__ import annotations

from dataclasses import dataclass

from wavetwin.diagnostics.codes import DESCRIPTIONS, LINT_CODES

__all__ = ["EXPLANATIONS", "Explanation", "explanation_text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A warning at greater length."""

    cause: str
    cure: str
    number: str


EXPLANATIONS: dict[str, Explanation] = {
    "map-below-filter": Explanation(
        cause="A filter is longer than the map that it reads, so that every output reaches beyond the border.",
        cure="A larger image, fewer levels, a shorter filter, or less subsampling before it.",
        number="The packets of qshift_a have 12, 30, 66 taps at one, two, three levels.",
    ),
    "packets-above-kernel": Explanation(
        cause="Packets see patches many times as large as the free channels beside them.",
        cure="Fewer levels, or shorter filters.",
        number="The published twins have 66 taps beside 11 and 30 beside 7; the rule speaks from 8 to 1 on.",
    ),
    "samples-dropped": Explanation(
        cause="The windows of a layer end before its map does.",
        cure="A padding, or an image size that comes out even.",
        number="A window of 2 at steps of 2 over 57 samples never reads the last one.",
    ),
    "static-gain": Explanation(
        cause="The low-pass taps of every wavelet add up to sqrt(2) in each direction, so that a constant "
        "doubles at each level; without a norm on the way the logits are as much larger.",
        cure="normalise: dc in a wavelet_pool, packets without the low-pass, or a norm.",
        number="Three poolings make 8: logits exactly 8 times as large, and on crops of photographs a first "
        "loss of 6.7 where dc gain gives 2.1 and ln(7) is 1.9. It narrows the rates that train: by SGD at .01 an "
        "eighth as wide a net stays at 23 %, and reaches 71 % at dc gain. It makes no gap between training "
        "and validation (docs/wavelet-pooling.md).",
    ),
    "no-regularisation": Explanation(
        cause="Many parameters for each image, and no norm, dropout, weight decay or augmentation.",
        cure="Augmentation, weight decay, norms; more images.",
        number="The rule speaks above 50 parameters for each training image. Seed 002's net, an eighth as wide, on "
        "crops of photographs: a gap of 38 to 49 points under five poolings, 30 with augmentation "
        "(docs/wavelet-pooling.md).",
    ),
    "schedule-without-effect": Explanation(
        cause="The schedule changes the rate only after the training has ended.",
        cure="Fewer epochs before the change, or more in all.",
        number="A step of 30 epochs does nothing in 30 epochs.",
    ),
    "frozen-at-random": Explanation(
        cause="`training.freeze` holds parameters fixed that no weights are loaded for.",
        cure="Load them, by `weights` and its `parts`, or freeze less: the warning names the parts that "
        "weights are loaded for.",
        number="freeze: [stem] of specs/cifar10/R18C.yaml holds 9,408 drawn numbers fixed.",
    ),
    "setting-without-effect": Explanation(
        cause="A setting of the training is without the effect that its name promises.",
        cure="Remove it, or give it values that differ.",
        number="Equal class weights of 2 double the loss and weigh no class.",
    ),
    "many-calibration-bins": Explanation(
        cause="The error adds up distances between an accuracy and a mean probability, bin by bin; in a "
        "bin of few images chance alone sets them apart.",
        cure="Fewer bins, or more images.",
        number="The rule speaks below 10 images a bin. Of 360 images drawn so that the probabilities are right, "
        "15 bins give an error of 0.05 on average, 36 bins 0.07, 360 bins 0.21.",
    ),
    "metrics-alike": Explanation(
        cause="Two metrics of one entry name the same code with the same arguments.",
        cure="Give one of them the arguments that were meant, or remove it.",
        number="The two differ by 0 in every run: they are one call on the same logits and labels.",
    ),
    "joint-blur-without-norm": Explanation(
        cause="One softmax over the taps of all groups makes each group's taps add up to 1/groups.",
        cure="A binomial blur, or a norm behind it.",
        number="With 8 groups a constant comes out at an eighth.",
    ),
    "packets-of-other-levels": Explanation(
        cause="Packet numbers count other frequencies under other levels or another transform.",
        cure="List the packets anew beside the levels, or keep dyadic bands.",
        number="Packets 1 to 3 of J = 2 are a quarter of those frequencies at J = 3.",
    ),
    "invariant-upsampled-before-pool": Explanation(
        cause="An invariant layer up-samples what a pooling behind it halves again.",
        cure="A stride of 2, and no pooling.",
        number="The 4 samples of a window are interpolated from at most 9 that the layer computed, in a map of a "
        "quarter of the size.",
    ),
    "band-filter-mixes": Explanation(
        cause="A fixed filter was given all channels to sum, where a wavelet filters each alone. Code that "
        "lost `groups=in_channels` does so.",
        cure="As many groups as channels, or the layer wavelet_pool, whose filters are constants.",
        number="With the same taps for all, every one of 64 output channels is the same map, from 16,384 "
        "weights instead of 256.",
    ),
    "haar-is-average": Explanation(
        cause="The low-pass of Haar has two equal taps: its band is a mean, up to the gain, and nothing of a "
        "wavelet is left where the details are dropped.",
        cure="Say so with an average pooling, take a longer wavelet, or keep details.",
        number="LL of Haar less 2 times the mean of 2 x 2 is 0.0, exactly.",
    ),
    "bands-discarded": Explanation(
        cause="Of four bands only the approximation goes on: edges and texture end here. That is a choice, as "
        "in every average pooling.",
        cure="bands: mix keeps the widths and begins as ll; all, modulus and energy keep more channels.",
        number="Of the energy without the mean, details are 4, 6 and 10 % on photographs at levels one to "
        "three, and 13 to 35 % in the maps inside seed 002's untrained net. Feature maps that are clipped to "
        "[0, 1] when shown lose more: 41, 67 and 88 % of the pixels at a gain of 2 a pooling, none at "
        "dc gain (docs/wavelet-pooling.md).",
    ),
    "details-into-relu": Explanation(
        cause="Detail coefficients have both signs alike, and a ReLU keeps one.",
        cure="A convolution between them, or bands mix, modulus or energy.",
        number="About 50 % of the coefficients become 0.",
    ),
    "lengthened-bands": Explanation(
        cause="PyWavelets' bands are longer than half in all modes but periodization: filters run over the "
        "border.",
        cure="size: half, which cuts the same bands evenly.",
        number="db4 gives 17 samples of 28, not 14.",
    ),
}
"""Of every rule of lint."""


def explanation_text(code: str) -> str:
    """Return what a code means, with cause, cure and number where it is a warning's.

    Args:
        code: of `DESCRIPTIONS`.
    """
    lines = [f"{code}: {DESCRIPTIONS[code]}"]
    found = EXPLANATIONS.get(code)
    if found is not None:
        assert code in LINT_CODES, code
        lines += [f"cause   {found.cause}", f"cure    {found.cure}", f"number  {found.number}"]
    return "\n".join(lines) + "\n"
