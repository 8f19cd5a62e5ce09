"""Random valid specs, and the same spec in other words."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from wavetwin.compiler.compiled import Compiled

Document = dict[str, Any]

_KEPT: tuple[Document, ...] = (
    {"exclude": ["lowpass"], "keep": [{"band": 1, "channels": 24, "groups": 6}]},
    {
        "exclude": ["lowpass", "edges"],
        "keep": [{"band": 1, "channels": 12, "groups": 6}, {"band": 2, "channels": 12}],
    },
    {"keep": [{"packets": [1, 2, 19, 17, 18, 3], "channels": 24, "groups": 6}]},
    {
        "keep": [
            {"packets": [1, 2, 19], "channels": 12, "groups": 3},
            {"packets": [17, 18, 3], "channels": 12, "groups": 3},
        ]
    },
    {"exclude": "lowpass", "keep": [{"band": 1, "channels": 24, "groups": 3}]},
)

_ENTRIES: tuple[Document, ...] = (
    {"mode": "one_crop"},
    {"mode": "one_crop", "split": "validation"},
    {"mode": "ten_crops"},
    {"mode": "shifts", "max_shift": 4},
    {"mode": "shifts", "max_shift": 4, "direction": "diagonal", "metric": "kl_divergence"},
    {"mode": "corruptions"},
)


@st.composite
def wavelets(draw: st.DrawFn) -> Document:
    """Wavelet channels that fit beside 40 free ones."""
    kept = draw(st.sampled_from(_KEPT))
    wavelet: Document = {"levels": 2, **kept}
    if draw(st.booleans()):
        wavelet["color_mixing"] = draw(
            st.sampled_from(["before", "after", {"position": "before", "trainable": False}])
        )
    if draw(st.booleans()):
        wavelet["regularisation"] = draw(st.sampled_from([0.0, 0.0041]))
    if draw(st.booleans()):
        wavelet["trainable_filters"] = draw(st.booleans())
    if draw(st.booleans()):
        wavelet["filters"] = draw(st.sampled_from(["qshift_a", "qshift_b"]))
    return wavelet


@st.composite
def layers(draw: st.DrawFn) -> list[Document]:
    """The layers of a sequential backbone."""
    body = draw(
        st.lists(
            st.sampled_from(
                [
                    {"conv": {"channels": 8}},
                    {"conv": {"channels": 16, "bias": False}},
                    {"norm": {}},
                    {"relu": {}},
                    {"dropout": {"probability": 0.25}},
                ]
            ),
            max_size=5,
        )
    )
    return [*body, {"pool": {"kind": "global_average"}}, {"flatten": {}}, {"linear": {}}]


@st.composite
def specs(draw: st.DrawFn) -> Document:
    """A valid spec on CIFAR-10: a residual network or a list of layers, a CNN or a twin."""
    arch = draw(st.sampled_from(["resnet18", "sequential"]))
    wavelet = draw(st.none() | wavelets())
    pooling: Document = {"free": draw(st.sampled_from(["max", "max_blur"]))}
    stem: Document = {}
    if arch == "sequential" or wavelet is not None:
        stem = {"free_channels": 40, "stride": 2}
    if wavelet is not None:
        stem["wavelet"] = wavelet
        pooling["wavelet"] = draw(st.sampled_from(["max", "max_blur", "modulus", "modulus_blur"]))
    if draw(st.booleans()):
        stem["frozen"] = draw(st.booleans())
    if "max_blur" in pooling.values():
        pooling["blur_size"] = draw(st.sampled_from([3, 5]))
    backbone: Document = {"arch": arch}
    if arch == "sequential":
        backbone["layers"] = draw(layers())
    else:
        backbone["downsampling"] = draw(st.sampled_from(["strided", "blur", "adaptive_blur"]))
    return {
        "wavetwin": 1,
        "name": draw(st.sampled_from(["first", "second"])),
        "backbone": backbone,
        "stem": stem,
        "pooling": pooling,
        "data": {"dataset": "cifar10", "image_size": draw(st.sampled_from([64, 96]))},
        "training": {
            "epochs": draw(st.sampled_from([1, 30])),
            "batch_size": 128,
            "accumulate": draw(st.sampled_from([1, 2])),
            "optimizer": draw(st.sampled_from([{}, {"lr": 0.1}, {"weight_decay": 0.0001}])),
            "seed": draw(st.integers(0, 1)),
        },
        "evaluation": draw(st.lists(st.sampled_from(_ENTRIES), max_size=4)),
    }


@st.composite
def respelt(draw: st.DrawFn, document: Document, compiled: Compiled) -> str:
    """The text of a spec that says the same as `document`, whose compilation is given.

    Sections may have every default written out and rules expanded; keys come in any order, numbers
    in any spelling, comments anywhere between lines; another name and a summary are added.
    """
    spelt = dict(document)
    for section in ("backbone", "stem", "pooling", "data", "training", "evaluation"):
        if draw(st.booleans()):
            spelt[section] = compiled.resolved[section]
    spelt["name"] = draw(st.sampled_from(["another", "name"]))
    spelt["summary"] = "in other words"
    lines: list[str] = []
    for key in draw(st.permutations(list(spelt))):
        if draw(st.booleans()):
            lines.append("# a comment")
        lines.append(f"{key}: {_flow(draw, spelt[key])}  # and one behind")
    return "\n".join(lines) + "\n"


def _flow(draw: st.DrawFn, value: Any) -> str:
    if isinstance(value, dict):
        keys = draw(st.permutations(list(value)))
        return "{" + ", ".join(f"{key}: {_flow(draw, value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(draw, item) for item in value) + "]"
    if isinstance(value, float):
        return draw(st.sampled_from([repr(value), f"{value:.17e}", f"+{value!r}"]))
    if isinstance(value, int) and not isinstance(value, bool):
        return draw(st.sampled_from([str(value), f"+{value}", hex(value), f"0o{value:o}"]))
    return json.dumps(value)
