"""Say what each choice of an enumeration is, for editors: from the tables that have it, else from here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from wavetwin.diagnostics.codes import DESCRIPTIONS
from wavetwin.ir.augmentations import AUGMENTATIONS
from wavetwin.ir.backbones import ARCHITECTURES
from wavetwin.ir.blurring import DOWNSAMPLINGS, Downsampling
from wavetwin.ir.dataset import Dataset
from wavetwin.ir.datasets import DATASETS
from wavetwin.ir.evaluations import SHIFT_METRICS
from wavetwin.ir.initial_laws import INITIAL_LAWS
from wavetwin.ir.level1_taps import LEVEL1_FILTERS, level1_taps
from wavetwin.ir.mixings import MIXINGS
from wavetwin.ir.poolings import POOLINGS, Pooling
from wavetwin.ir.precisions import PRECISIONS
from wavetwin.ir.wavelets import BOUNDARY_MODES

__all__ = ["choice_texts"]

_WRITTEN: tuple[Mapping[str, str], ...] = (
    {
        "nearest": "The nearest sample.",
        "bilinear": "Linear between four samples.",
        "bicubic": "Cubic between sixteen samples.",
    },
    {
        "imagenet": "As it was found for ImageNet.",
        "cifar10": "As it was found for CIFAR-10.",
        "svhn": "As it was found for the street view house numbers.",
    },
    {
        "dataset": "The data set's own statistics.",
        "imagenet": "ImageNet's statistics.",
        "none": "Mean 0 and standard deviation 1: values stay in [0, 1].",
    },
    {"stem": "The first layer and its pooling.", "image": "The image, without either."},
    {
        "before": "One map of the colours, before the packets.",
        "after": "One map for each output channel, after the mixing.",
    },
    {"zeros": "Zeros.", "reflect": "The map, reflected about its outermost samples."},
    {
        "train": "The training images, without augmentation.",
        "validation": "The training images that are held out.",
        "test": "The official test images.",
    },
    {
        "horizontal": "To the right.",
        "vertical": "Downwards.",
        "diagonal": "To the right and downwards, alike.",
        "both": "All moves to the right and down, a grid.",
    },
    {
        "float": "In floating point.",
        "pil": "By Pillow, as the published scores were computed: 8 bits after each pass.",
    },
    {
        "max": "The largest value of each window.",
        "average": "The mean of each window.",
        "global_average": "The mean of the whole map.",
    },
    {
        "constant": "`fill`.",
        "edge": "The edge's pixels.",
        "reflect": "The image mirrored, without its edge.",
        "symmetric": "The image mirrored, with its edge.",
    },
    {"uniform": "Between -1 and 1, as in the published models.", "zeros": "Zeros."},
    {"batch": "Batch normalisation.", "none": "No norm.", "group": "Group normalisation."},
    {
        "contiguous": "Channel by channel, as torch does.",
        "channels_last": "Position by position: often faster, with other last bits.",
    },
    {"torch": "torch's operations.", "native": "wavetwin's own C++ kernel, built on the machine."},
    {
        "evaluation": "Their running statistics, which stay.",
        "training": "The batch's statistics, which the running ones follow.",
    },
    {
        "dtcwpt": "Dual-tree complex wavelet packets.",
        "wpt": "Separable real wavelet packets.",
    },
    {"real": "The real part.", "separate": "Real and imaginary part, as two channels."},
    {
        "lowpass": "The packet of frequency 0.",
        "edges": "Packets of the highest frequency cell in either direction.",
        "diagonal": "Packets that are high in both directions at the first level.",
    },
    {
        "dc": "A constant stays as it is.",
        "orthonormal": "PyWavelets' own: a constant doubles a level.",
        "unit_variance": "White noise keeps its variance in every band.",
    },
    {"full": "Of all channels' bands.", "depthwise": "Of each channel's own bands."},
    {
        "maps": "The 7 maps of each channel, as the published program does.",
        "channels": "The channels, as the thesis' formula reads.",
    },
    {"epoch": "Between epochs.", "step": "With every step."},
    {"best": "Those of the lowest validation error.", "last": "Those after the last epoch."},
    {"keep": "The last layer is loaded, too.", "new": "The last layer begins anew."},
    {
        "load": "The file has this network's first layer.",
        "project": "The file has a plain CNN's, onto which the twin's is fitted.",
    },
    {"error": "The run does not start.", "skip": "What fits is loaded, and the rest is named."},
)


def choice_texts(choices: Sequence[object], description: str) -> list[str] | None:
    """Return a sentence for each choice, in order; None where numbers alone can be chosen.

    A choice that neither its field's description nor a table says anything of is a fault of wavetwin: a
    sentence is missing here.

    Args:
        choices: of one enumeration.
        description: of its field, which says it of kinds and of few choices.
    """
    if not any(isinstance(each, str) for each in choices):
        return None
    names = [each if isinstance(each, str) else str(each).lower() for each in choices]
    said = dict(part.split(": ", 1) for part in description.split("; ") if ": " in part)
    of_field = {name.strip("`"): _sentence(text.removesuffix(".")) for name, text in said.items()}
    groups = (of_field, *_rows(), *_WRITTEN)
    group = next(each for each in groups if each.keys() >= set(names))
    return [group[name] for name in names]


@cache
def _rows() -> tuple[Mapping[str, str], ...]:
    """Return what tables say of their rows."""
    return (
        {name: _first_line(type(row)) for name, row in ARCHITECTURES.items()},
        {name: _first_line(law) for name, law in INITIAL_LAWS.items()},
        {row.name: row.text for row in (*PRECISIONS.values(), *SHIFT_METRICS.values())},
        {name: _of_level1(name) for name in LEVEL1_FILTERS},
        BOUNDARY_MODES,
        {name: _of_pooling(row) for name, row in POOLINGS.items()},
        {name: _of_downsampling(row) for name, row in DOWNSAMPLINGS.items()},
        {name: _sentence(row.effect) for name, row in AUGMENTATIONS.items()},
        {name: _sentence(row.statement) for name, row in MIXINGS.items()},
        {name: _of_dataset(row) for name, row in DATASETS.items()},
        DESCRIPTIONS,
    )


def _first_line(kind: type[object]) -> str:
    """Return what a class says that it is."""
    return (kind.__doc__ or "").partition("\n")[0]


def _of_level1(name: str) -> str:
    taps = level1_taps(name)
    return f"{len(taps.analysis_low)} and {len(taps.analysis_high)} taps."


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _of_pooling(row: Pooling) -> str:
    name = f"{row.paper_name[:1].upper()}{row.paper_name[1:]}"
    return f"{name}: {row.statement}." if row.statement else f"{name}, as the papers call it."


def _of_downsampling(row: Downsampling) -> str:
    if row.own_statement:
        return _sentence(row.own_statement)
    if row.blurring is None:
        return "Layers of stride 2, without a blur."
    return (
        f"Layers of stride 1, then a blur that keeps every second position: {row.blurring.title}."
    )


def _of_dataset(row: Dataset) -> str:
    """Return how many classes and images there are, and what its files are."""
    layout = _first_line(type(row))
    if row.is_own:
        return f"Images of your own: {layout}"
    images = "" if row.training_images is None else f" {row.training_images:,} training images,"
    return f"{row.num_classes} classes,{images} usually of {row.image_size} pixels: {layout}"
