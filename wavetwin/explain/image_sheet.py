"""Draw the sheet of a data set: how many images each class has, and a few of them as they are used."""

from __future__ import annotations

import base64
import io

import torch
from markupsafe import Markup
from PIL import Image
from torch import Tensor

from wavetwin.explain.html import figure, info, png, remark, render_page, table
from wavetwin.ir.plan import TrainingPlan
from wavetwin.ir.sides import size_text
from wavetwin.runtime.data.samples import ClassSample, Samples

__all__ = ["IMAGES_OF_A_CLASS", "MOST_CLASSES", "image_sheet"]

IMAGES_OF_A_CLASS = 4
"""Of training, and of test images."""
MOST_CLASSES = 200
"""Classes whose images are shown."""

_SHORTEST = 64
"""Pixels; smaller images are shown at a multiple of their size."""
_GAP, _WIDE_GAP = 2, 10
_PAPER = 255


def image_sheet(plan: TrainingPlan, samples: Samples) -> str:
    """Return one HTML document with the counts and images of each class."""
    data = plan.data
    totals = [
        sum(counts) for counts in zip(*(each.counts for each in samples.classes), strict=True)
    ]
    pairs = [
        ("data set", " ".join(filter(None, (data.dataset, data.folder, data.file)))),
        ("classes", f"{data.num_classes:,}"),
        ("images", "{:,} train, {:,} validation, {:,} test".format(*totals)),
        (
            "size",
            f"{size_text(data.image_size)}, {data.channels} channel{'s' * (data.channels > 1)}",
        ),
        ("augmentation", data.augmentation_text),
    ]
    remarks = [remark(text, "warning") for text in samples.notes]
    remarks += [remark(f"left out: {text}", "warning") for text in samples.bad_images.values()]
    shown = samples.classes[:MOST_CLASSES]
    if len(shown) < len(samples.classes):
        remarks.append(remark(f"images of the first {MOST_CLASSES} classes are shown"))
    return render_page(
        f"Images of {plan.name}",
        "images",
        info=info(pairs),
        remarks=remarks,
        counts=table(
            "Images of each class",
            ("class", "name", "train", "validation", "test"),
            [(str(c.number), c.name, *(f"{n:,}" for n in c.counts)) for c in samples.classes],
        ),
        legend=f"Left: the first {IMAGES_OF_A_CLASS} training images, as the first epoch sees them. "
        f"Right: the first {IMAGES_OF_A_CLASS} test images, as they are evaluated. Before normalisation.",
        figures=[_class_figure(each) for each in shown],
    )


def _class_figure(sample: ClassSample) -> Markup:
    label = f"{sample.number}: {sample.name}" if sample.name else f"class {sample.number}"
    train, validation, test = sample.counts
    caption = f"{label} ({train:,} train, {validation:,} validation, {test:,} test)"
    strip = _strip(sample)
    buffer = io.BytesIO()
    strip.save(buffer, "PNG")
    text = f"{len(sample.trained)} training and {len(sample.tested)} test images of {label}"
    return figure(png(base64.b64encode(buffer.getvalue()).decode(), text, strip.size), caption)


def _strip(sample: ClassSample) -> Image.Image:
    """Return the images of a class in a row, training images first."""
    channels, height, width = sample.trained.shape[1:]
    times = max(1, -(-_SHORTEST // min(height, width)))
    blank = torch.full((channels, times * height, _GAP), _PAPER, dtype=torch.uint8)
    apart = torch.full((channels, times * height, _WIDE_GAP), _PAPER, dtype=torch.uint8)
    parts: list[Tensor] = []
    for images in (sample.trained, sample.tested):
        parts += [apart] if parts else []
        for image in images:
            large = image.repeat_interleave(times, 1).repeat_interleave(times, 2)
            parts += [large, blank]
    row = torch.cat(parts or [apart], 2)
    pixels = row.permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
