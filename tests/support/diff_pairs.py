"""Pairs of experiments over all shipped families, with changes that may fit them."""

from __future__ import annotations

from functools import cache

from hypothesis import strategies as st

from tests.support.shipped import compiled_once, spec_of
from wavetwin.compiler.compiled import Compiled
from wavetwin.diagnostics import CompileError
from wavetwin.explain.diff.difference import Difference, Experiment, compare

NAMES = (
    "AI", "AwyI", "AwyI_mod", "Azh3I", "Azh3wyI", "Azh3wyI_mod", "RI", "Rwy0I", "RwyI", "RwyI_mod",
    "Rzh3wyI_mod", "Rzh3wyI_abl", "Rzo3wyI", "R18C", "R18wyC", "R18wyC_mod", "R18zo3wyC_mod", "cnn",
    "twin", "twin_mod", "mnist_cnn", "mnist_rmax", "mnist_cmod",
)  # fmt: skip
CHANGES = (
    "training.batch_size=64", "training.batch_size=5000", "training.accumulate=2",
    "training.optimizer.lr=0.03", "training.epochs=0", "training.epochs=2", "training.seed=5",
    "training.schedule={name: cosine}", "stem.frozen=true", "stem.stride=4", "stem.stride=1",
    "stem.kernel_size=5", "stem.padding=1", "stem.wavelet.levels=3", "stem.wavelet.levels=2",
    "stem.wavelet.filters=qshift_b", "stem.wavelet.trainable_filters=true",
    "stem.wavelet.regularisation=null", "stem.wavelet.regularisation=0.1",
    "stem.wavelet.regularisation=0.0", "stem.wavelet.exclude=[lowpass]",
    "stem.wavelet.color_mixing=after",
    "stem.wavelet.color_mixing={position: before, trainable: false}",
    "pooling.free=max_blur", "pooling.free=max", "pooling.free=max_adaptive_blur",
    "pooling.wavelet=modulus", "pooling.wavelet=max", "pooling.wavelet=modulus_blur",
    "pooling.wavelet=max_blur", "pooling.free=none", "pooling.wavelet=none",
    "pooling.blur_size=5", "pooling.max_kernel=2", "pooling.free=wavelet",
    "pooling.wavelet_pool={bands: mix}", "backbone.downsampling=wavelet", "backbone.downsampling=blur", "backbone.downsampling=adaptive_blur", "data.image_size=200",
    "data.normalise=none", "data.augmentation=none", "evaluation=[{mode: ten_crops}]",
    "stem.initial_weights={checkpoint: a.safetensors}", "stem.norm=none",
    f"weights={{checkpoint: w.pth, parts: [trunk], sha256: {'a' * 64}}}",
)  # fmt: skip
ALL_WAVELET = (
    "stem.free_channels=0",
    "stem.wavelet.keep=[{packets: [1, 2, 19, 17, 18, 3], channels: 64, groups: 2}]",
    "stem.wavelet.regularisation=null",
)
REAL = (
    "stem.wavelet.transform=wpt",
    "stem.wavelet.filters=db4",
    "stem.wavelet.keep=[{band: 1, channels: 24}]",
)


@cache
def tried(name: str, changes: tuple[str, ...]) -> Compiled | None:
    """Return the experiment, or None where the changes do not fit it."""
    try:
        return compiled_once(spec_of(name), *changes)
    except CompileError:
        return None


def compiled(name: str, *changes: str) -> Compiled:
    found = tried(name, changes)
    assert found is not None, (name, changes)
    return found


def differ(first: Compiled, second: Compiled) -> Difference:
    return compare(Experiment("a", first), Experiment("b", second))


SIDES = st.tuples(
    st.sampled_from(NAMES),
    st.one_of(
        st.lists(st.sampled_from(CHANGES), max_size=3, unique=True).map(tuple),
        st.sampled_from([ALL_WAVELET, REAL, (*ALL_WAVELET, "pooling.free=max_blur")]),
    ),
)
