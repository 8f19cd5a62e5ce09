"""Say what two networks of the demo show, in sentences that follow from their numbers alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from torch import Tensor

from wavetwin.explain.report.figures import in_form, with_interval
from wavetwin.runtime.evaluation.intervals import PairedDifference, paired_interval


class Verdict(Enum):
    """What an interval says of a rate of the second network against the first's."""

    LESS = "less"
    MORE = "more"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Measure:
    """A rate of two networks over the same images: the less, the better."""

    first: float
    second: float
    difference: PairedDifference

    @classmethod
    def of(cls, first: Tensor, second: Tensor) -> Measure:
        """Return the measure of two networks' shares between 0 and 1, (images,) each."""
        difference = paired_interval(first[None], second[None], is_rate=True)
        return cls(float(first.mean()), float(second.mean()), difference)

    @property
    def verdict(self) -> Verdict:
        """Less or more where the interval leaves 0 out."""
        if self.difference.high < 0:
            return Verdict.LESS
        return Verdict.MORE if self.difference.low > 0 else Verdict.UNDECIDED

    def __str__(self) -> str:
        """Return `4.00% instead of 21.00%: -17.00% [-19.00, -15.00]`."""
        rates = f"{in_form(self.second, 'rate')} instead of {in_form(self.first, 'rate')}"
        return f"{rates}: {self.in_points}"

    @property
    def in_points(self) -> str:
        """The difference with its interval, in percentage points."""
        ends = (self.difference.low, self.difference.high)
        return with_interval(self.difference.mean, ends, "rate", signed=True)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A pair of networks, each by what it is called."""

    first: str
    second: str
    images: int
    errors: Measure
    flips: Measure
    """How often the prediction changes when an image moves."""
    right_images: int
    """Images that both get right where they are not moved."""
    flips_of_right: Measure | None
    """Flips of these images; None where there are none."""

    def sentence(self) -> str:
        """Return what the pair shows: of errors, of stability, and of stability at equal errors."""
        errors, flips = self.errors.verdict, self.flips.verdict
        text = {
            Verdict.LESS: f"{self.second} makes fewer errors than {self.first}",
            Verdict.MORE: f"{self.second} makes more errors than {self.first}",
            Verdict.UNDECIDED: f"The {self.images:,} test images do not decide which of {self.first} and "
            f"{self.second} makes fewer errors",
        }[errors]
        verdicts = {errors, flips}
        joint = "but" if verdicts == {Verdict.LESS, Verdict.MORE} else "and"
        undecided = "whose predictions flip less often when the image moves"
        text += f" ({self.errors}), "
        text += {
            Verdict.LESS: f"{joint} {self.second}'s predictions flip less often when the image moves",
            Verdict.MORE: f"{joint} {self.second}'s predictions flip more often when the image moves",
            Verdict.UNDECIDED: f"nor {undecided}"
            if errors is flips
            else f"and the test images do not decide {undecided}",
        }[flips]
        return f"{text} ({self.flips}){self._of_right()}."

    def _of_right(self) -> str:
        """Return whether the flips differ among the images that both get right, too."""
        measure = self.flips_of_right
        if self.flips.verdict is Verdict.UNDECIDED:
            return ""
        if measure is None:
            return "; there is no image that both get right, to look at flips apart from errors"
        images = f"the {self.right_images:,} that both get right"
        if measure.verdict is Verdict.UNDECIDED:
            return f"; {images} do not decide it ({measure}): it may come from the errors alone"
        also = ", too" if measure.verdict is self.flips.verdict else ""
        return f"; of {images} they flip {measure.verdict.value} often{also} ({measure})"


@dataclass(frozen=True, slots=True)
class Setting:
    """What a network was trained on and how, as far as it bears on its stability."""

    image_size: int
    first_layer_channels: int
    epochs: int

    def __str__(self) -> str:
        return (
            f"{self.image_size} pixels, {self.first_layer_channels} channels in the first layer, "
            f"{self.epochs} epochs"
        )


def elsewhere(
    comparison: Comparison,
    published: Mapping[str, tuple[float, float]],
    here: Setting,
    there: Setting,
) -> str:
    """Return where the same pair was compared and why it may differ here; empty where it is more stable.

    Args:
        comparison: the pair.
        published: mean flip rates of the first's and the second's counterparts, by architecture.
        here: of the demo.
        there: of the published networks.
    """
    if comparison.flips.verdict is Verdict.LESS:
        return ""
    lower = [name for name, (first, second) in published.items() if second < first]
    rates = "; ".join(
        f"{name} {in_form(second, 'rate')} instead of {in_form(first, 'rate')}"
        for name, (first, second) in published.items()
    )
    flips = comparison.flips
    expected = [flips.first * (second / first - 1) for first, second in published.values()]
    inside = [flips.difference.low <= each <= flips.difference.high for each in expected]
    points = " and ".join(in_form(each, "rate", signed=True) for each in expected)
    small = ": too few images to tell" if all(inside) else ""
    return (
        f"Published, on ImageNet, {comparison.second} flips less often than {comparison.first} in "
        f"{len(lower)} of {len(published)} architectures ({rates}), and docs/mnist-study.md compares them "
        f"over five seeds. In the same proportion it would be {points} here, of which {sum(inside)} of "
        f"{len(inside)} are within the interval{small}. Other differences: there {there}; here {here}, one "
        "training each."
    )
