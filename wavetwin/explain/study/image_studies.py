"""Run `discrepancy` and `stability`: RMax beside CMod, and what shifts change of them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from wavetwin.explain.pictures.line_plot import LinePlot, Look, Series, draw_plot
from wavetwin.explain.study.discrepancy import Discrepancy, measure_discrepancy
from wavetwin.explain.study.images import MARGIN
from wavetwin.explain.study.planes import heat_plane
from wavetwin.explain.study.result import Picture, Result
from wavetwin.explain.study.rows import Table
from wavetwin.explain.study.setting import (
    ImageOptions,
    StudyBank,
    make_banks,
    prepare_images,
    protocol,
)
from wavetwin.explain.study.stability import Direction, Stability, measure_stability
from wavetwin.runtime.evaluation.intervals import percentiles, resampled_means
from wavetwin.runtime.process.errors import RunError

__all__ = ["study_discrepancy", "study_stability"]

_DISCREPANCY_SCALE = (0.0, 0.1, 0.2, 0.3, 0.5, 1.0)
_STABILITY_SCALE = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0)


def study_discrepancy(options: ImageOptions) -> Result:
    """Measure RMax against CMod, beside the theory.

    Raises:
        RunError: an option is wrong, or an image cannot be used.
    """
    images = prepare_images(options)
    found: list[tuple[StudyBank, Discrepancy]] = []
    for each in make_banks(options, images):
        measured = measure_discrepancy(
            each.bank,
            each.kernels,
            each.positions,
            images.batches(),
            label=each.label,
            border=each.border,
        )
        found.append((each, measured))
    pictures = [
        picture
        for each, measured in found
        for picture in (
            _plane(each, measured.mean, "discrepancy", "Mean discrepancy of RMax and CMod"),
            _plane(each, measured.theory_of_spectrum, "theory", "Theory over each filter's energy"),
        )
    ]
    rows = tuple(
        (measured.label, caption, value, *_ends(measured.per_image, caption, options.seed))
        for _, measured in found
        for caption, value in measured.figures().items()
    )
    caption = f"RMax against CMod, {len(images.sources)} images, over the filters"
    return Result(
        study="discrepancy",
        title="How far RMax and CMod are apart",
        notes=(
            "Mean over the images of |RMax - CMod|² / |CMod|² for every filter, after figure 5 of "
            "arXiv:2209.11740's poster. Theory: what a perfectly localised filter of the cell's frequency would "
            "give; the filters' energy is spread, so that theory is a floor.",
            "Classes are of the phase steps between neighbouring outputs in units of π/4; (1, 1) are "
            "the frequencies next to the pathological ones, at which the maximum sees few phases.",
        ),
        summaries=[
            Table("summary", caption, ("bank", "figure", "value", "low 95 %", "high 95 %"), rows)
        ],
        tables=[measured.table() for _, measured in found],
        pictures=pictures,
        protocol=protocol(options, images, [each for each, _ in found]),
        images=[source.info() for source in images.sources],
    )


def study_stability(options: ImageOptions, direction: Direction, max_shift: int | None) -> Result:
    """Measure what shifts change of RMax, CMod and plain subsampling.

    Args:
        options: as for `study_discrepancy`.
        direction: in which the images move.
        max_shift: pixels; None: m - 1 for each bank.

    Raises:
        RunError: an option is wrong, or an image cannot be used.
    """
    if max_shift is not None and max_shift > MARGIN:
        raise RunError(
            "bad-argument",
            f"--max-shift {max_shift}: the windows have {MARGIN} pixels around the image",
            f"choose a shift up to {MARGIN}",
        )
    images = prepare_images(options)
    found: list[tuple[StudyBank, Stability]] = []
    for each in make_banks(options, images):
        last = max_shift or max(1, each.bank.stride - 1)
        measured = measure_stability(
            each.bank,
            each.positions,
            images.batches(),
            label=each.label,
            direction=direction,
            shifts=range(1, last + 1),
            border=each.border,
        )
        found.append((each, measured))
    rows = tuple(
        (measured.label, caption, value)
        for _, measured in found
        for caption, value in measured.figures().items()
    )
    correlations = Table("correlations", "Over the filters", ("bank", "figure", "value"), rows)
    return Result(
        study="stability",
        title="What shifts change",
        notes=(
            "Mean over the images of |F(T X) - F(X)|² / |F(X)|² for every filter, T a shift made by "
            "cropping a larger image, after figure 6 of arXiv:2209.11740's poster. The smallest shifts count: from "
            "m pixels on, outputs have moved by half a sample or more, and max pooling, which looks "
            "around, changes more slowly than the modulus.",
        ),
        summaries=[*(measured.summary() for _, measured in found), correlations],
        tables=[measured.table() for _, measured in found],
        pictures=_stability_pictures(found),
        protocol={
            **protocol(options, images, [each for each, _ in found]),
            "direction": direction,
            "shifts": {measured.label: list(measured.shifts) for _, measured in found},
        },
        images=[source.info() for source in images.sources],
    )


def _ends(per_image: Tensor, caption: str, seed: int) -> tuple[float, float]:
    """Return the 95 % interval over images of the median over filters; NaN for other figures."""
    if caption != "median" or len(per_image) < 2:
        return float("nan"), float("nan")
    medians = resampled_means(per_image, seed=seed).quantile(0.5, dim=1, keepdim=True)
    low, high = percentiles(medians)
    return float(low), float(high)


def _plane(each: StudyBank, values: Tensor, name: str, caption: str) -> Picture:
    title = f"{caption}, {each.caption}"
    picture = heat_plane(
        each.levels, each.positions, values.tolist(), title=title, scale=_DISCREPANCY_SCALE
    )
    return Picture(title, picture, f"{name}_{each.label}")


def _stability_pictures(found: Sequence[tuple[StudyBank, Stability]]) -> list[Picture]:
    """Return planes of RMax and CMod at the smallest shift, and the medians against the shift."""
    pictures: list[Picture] = []
    for each, measured in found:
        first = measured.shifts[0]
        for measure, caption in (
            ("rmax", "RMax"),
            ("cmod", "CMod"),
            ("plain", "Plain subsampling"),
        ):
            title = f"{caption}, {first} px {measured.direction}, {each.caption}"
            picture = heat_plane(
                each.levels,
                each.positions,
                measured.mean(measure, first).tolist(),
                title=title,
                scale=_STABILITY_SCALE,
            )
            pictures.append(Picture(title, picture, f"{measure}_{each.label}"))
        if len(measured.shifts) > 1:
            pictures.append(_against_shift(each, measured))
    return pictures


def _against_shift(each: StudyBank, measured: Stability) -> Picture:
    title = f"Medians over the filters, {each.caption}"
    series = [
        Series(
            caption,
            [
                (float(shift), float(measured.mean(measure, shift).quantile(0.5)))
                for shift in measured.shifts
            ],
            Look(number),
        )
        for number, (measure, caption) in enumerate(
            (("rmax", "RMax"), ("cmod", "CMod"), ("plain", "plain subsampling"))
        )
    ]
    plot = LinePlot(
        title, f"{measured.direction} shift in pixels", "relative change", series, from_zero=True
    )
    key = ", ".join(f"{look}: {line.name}" for look, line in zip(_MARKERS, series, strict=True))
    return Picture(f"{title}; {key}", draw_plot(plot))


_MARKERS = ("circles", "squares", "triangles")
"""Labels of the first marks of `line_plot`."""
