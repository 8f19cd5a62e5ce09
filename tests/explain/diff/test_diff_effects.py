"""The mathematics: a kind of change has its sentences, in both directions, with the pair's numbers."""

from __future__ import annotations

from functools import cache

import pytest

from tests.support.shipped import spec_of
from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.explain.diff.difference import Difference, Experiment, compare
from wavetwin.explain.diff.effects import Effect
from wavetwin.explain.diff.scores import published_scores

BAND = "{band: 1, channels: 24, groups: 6}"
BANDS = "stem.wavelet.keep=[{band: 1, channels: 12, groups: 6}, {band: 2, channels: 12, groups: 2}]"
CASES = (
    ("RwyI", (), ("pooling.wavelet=modulus",), "RMax -> CMod", "CMod -> RMax"),
    (
        "RwyI_mod", (), ("pooling.wavelet=modulus_blur",),
        "modulus -> modulus_blur", "modulus_blur -> modulus",
    ),
    (
        "RI", (), ("pooling.free=max_blur",),
        "max -> max_blur (first pooling)", "max_blur -> max (first pooling)",
    ),
    (
        "RI", (), ("backbone.downsampling=adaptive_blur",),
        "strided -> adaptive_blur (trunk)", "adaptive_blur -> strided (trunk)",
    ),
    (
        "Rzh3wyI", (), ("pooling.wavelet=max",),
        "max_blur -> max (first pooling, wavelet channels)",
        "max -> max_blur (first pooling, wavelet channels)",
    ),
    ("Rzh3I", (), ("pooling.blur_size=5",), "blur size 3 -> 5", "blur size 5 -> 3"),
    (
        "AwyI_mod", (), ("pooling.initial_bias=zeros",),
        "initial bias after the modulus uniform -> zeros",
        "initial bias after the modulus zeros -> uniform",
    ),
    (
        "Rzh3I", (), ("pooling.max_kernel=2",),
        "window of the maximum 3 -> 2", "window of the maximum 2 -> 3",
    ),
    (
        "RwyI", (), ("stem.wavelet.color_mixing=after",),
        "colour mixing before -> after", "colour mixing after -> before",
    ),
    (
        "RwyI", (), ("stem.wavelet.color_mixing.initial=[1, 1, 1]",),
        "colour weights", "colour weights",
    ),
    (
        "Rwy0I", (BANDS,), (BANDS, "stem.wavelet.exclude=[lowpass, edges]"),
        "packets", "packets",
    ),
    (
        "Rwy0I", (f"stem.wavelet.keep=[{BAND}]", "stem.wavelet.regularisation=0.0"),
        (
            "stem.wavelet.keep=[{packets: [3, 1, 2, 19, 17, 18], channels: 24, groups: 6}]",
            "stem.wavelet.exclude=[]", "stem.wavelet.regularisation=0.0",
        ),
        "packet order", "packet order",
    ),
    ("Rwy0I", (), ("stem.wavelet.regularisation=[0.0, 0.1]",), "lambda", "lambda"),
    (
        "Rwy0I", (f"stem.wavelet.keep=[{BAND}]", "stem.wavelet.regularisation=0.0"),
        (
            "stem.wavelet.keep=[{band: 1, channels: 24, groups: 2}]",
            "stem.wavelet.regularisation=0.0",
        ),
        "bands", "bands",
    ),
    (
        "Rwy0I", (f"stem.wavelet.keep=[{BAND}]", "stem.wavelet.regularisation=0.0"),
        (
            f"stem.wavelet.keep=[{BAND}]", "stem.wavelet.regularisation=0.0",
            "stem.wavelet.levels=3",
        ),
        "J = 2 -> 3", "J = 3 -> 2",
    ),
    (
        "RwyI", (), ("stem.free_channels=32", "stem.wavelet.keep=[{packets: [1], channels: 32}]"),
        "free channels", "free channels",
    ),
    ("RwyI", (), ("stem.wavelet.filters=qshift_c",), "filters", "filters"),
    (
        "RwyI", (),
        (
            "stem.wavelet.transform=wpt", "stem.wavelet.filters=db4",
            "stem.wavelet.keep=[{band: 1, channels: 24}]",
        ),
        "dtcwpt -> wpt", "wpt -> dtcwpt",
    ),
    ("RwyI", (), ("stem.wavelet.trainable_filters=true",), "trained filters", "fixed filters"),
    (
        "RwyI", (), ("stem.wavelet=null", "stem.free_channels=64"),
        "twin -> CNN", "CNN -> twin",
    ),
    ("RI", (), ("stem.frozen=true",), "frozen first layer", "trained first layer"),
    (
        "RI", (), ("stem.initial_weights={checkpoint: a.safetensors}",),
        "initial weights", "initial weights",
    ),
    ("RI", (), ("stem.stride=4",), "first stride", "first stride"),
    ("RI", (), ("stem.kernel_size=11",), "first kernel", "first kernel"),
    ("RI", (), ("backbone.arch=resnet18",), "resnet34 -> resnet18", "resnet18 -> resnet34"),
    ("RI", (), ("data.image_size=192",), "image size", "image size"),
    ("RI", (), ("data.image_size=[192, 256]",), "image size", "image size"),
    ("R18C", (), ("data.dataset=cifar100",), "classes", "classes"),
    ("RI", (), ("data.dataset=folder", "data.num_classes=1000"), "data set", "data set"),
    ("cnn", (), ("stem.norm=none",), "first norm", "first norm"),
    (
        "cnn", (), ("backbone.layers=[{pool: {kind: global_average}}, {flatten: {}}, {linear: {}}]",),
        "layers", "layers",
    ),
)  # fmt: skip


@cache
def compiled(name: str, overrides: tuple[str, ...]) -> Compiled:
    return compile_spec(spec_of(name), overrides)


def differ(first: Compiled, second: Compiled) -> Difference:
    return compare(Experiment("a", first), Experiment("b", second))


def effect(difference: Difference, kind: str) -> Effect:
    found = [each for each in difference.effects if each.kind == kind]
    assert len(found) == 1, [each.kind for each in difference.effects]
    return found[0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[3])
def test_a_kind_of_change_is_explained_in_both_directions(case: tuple) -> None:
    name, ours, theirs, forth, back = case
    first, second = compiled(name, ours), compiled(name, theirs)
    for difference, kind in ((differ(first, second), forth), (differ(second, first), back)):
        found = effect(difference, kind)
        assert found.text.endswith(".")
        assert found.numbers.endswith(".")
        names = [change.name for change in difference.changes.fields]
        assert any(each.startswith(found.fields) for each in names)
        told = tuple(field for each in difference.effects for field in each.fields)
        sections = ("backbone", "stem", "pooling")
        assert all(each.startswith(told) for each in names if each.startswith(sections))


def test_nothing_is_said_of_what_is_the_same() -> None:
    first, second = compiled("RI", ()), compiled("RI", ("training.epochs=3",))
    assert not differ(first, second).effects


def test_names_decide_nothing() -> None:
    named = compiled("RI", ("name=RwyI_mod",))
    assert not differ(compiled("RI", ()), named).effects
    assert differ(compiled("RI", ()), named).is_empty


def test_the_papers_window_is_not_vggs() -> None:
    """Averaged over frequencies, 2 x 2 phases are 0.252 from the envelope, 3 x 3 ones 0.071."""
    for names in (("V11bwI", "V11bwI_mod"), ("V11bwI_mod", "V11bwI")):
        (found,) = differ(*(compiled(name, ()) for name in names)).effects
        assert "does so less in a window of 2 x 2 than in the papers' 3 x 3" in found.text


def test_numbers_are_those_of_the_pair() -> None:
    found = effect(differ(compiled("AI", ()), compiled("AwyI", ())), "CNN -> twin")
    assert "32 of the twin's 64 first channels mix 94 packets" in found.numbers
    assert "23,296 -> 11,889 (-49.0 %) parameters" in found.numbers
    found = effect(differ(compiled("Rwy0I", ()), compiled("RwyI", ())), "packets")
    assert "30 -> 16 of 32 are mixed; the second leaves out 14 (14 of the highest" in found.numbers
    found = effect(differ(compiled("AwyI", ()), compiled("AwyI_mod", ())), "RMax -> CMod")
    assert "32 wavelet channels keep every 2nd position (2 x 4 pixels)" in found.numbers
    assert "the same 32 numbers are trained" in found.numbers
    kind = "RMax with blur -> CMod"
    found = effect(differ(compiled("Azh3wyI", ()), compiled("Azh3wyI_mod", ())), kind)
    assert "every 4th position (4 x 2 pixels)" in found.numbers


@pytest.mark.parametrize(
    ("names", "overrides", "kind", "has_medians"),
    [
        (("AwyI", "AwyI_mod"), (), "RMax -> CMod", True),
        (("RwyI", "RwyI_mod"), ("stem.stride=4",), "RMax -> CMod", False),
        (("AI", "AwyI_mod"), (), "max -> CMod", False),
        (("Azh3I", "Azh3wyI_mod"), (), "max_blur -> CMod", False),
        (("Rzo3wyI", "Rzo3wyI_mod"), (), "RMax with adaptive blur -> CMod", False),
    ],
)
def test_measured_medians_are_told_of_what_was_measured(
    names: tuple[str, str], overrides: tuple[str, ...], kind: str, has_medians: bool
) -> None:
    found = effect(differ(*(compiled(name, overrides) for name in names)), kind)
    assert ("measured medians" in found.text) == has_medians
    # A CNN has no wavelet channels whose pooling had parameters before.
    assert ("trained with their pooling" in found.numbers) == ("wy" in names[0])


def test_the_modulus_in_place_of_a_blur_does_what_the_sentence_says() -> None:
    pairs = [
        (published_scores(compiled(name, ())), published_scores(compiled(f"{name}_mod", ())))
        for name in ("Azh3wyI", "Rzh3wyI", "Rzo3wyI", "R18zh3wyC", "R34zh3wyC", "R34zo3wyC")
    ]
    rates = [
        after["mean_flip_rate"].value - before["mean_flip_rate"].value for before, after in pairs
    ]
    name = "kl_divergence.horizontal.1px"
    assert all(after[name].value < before[name].value for before, after in pairs)
    assert min(rates) < 0 < max(rates)


def test_fixed_colour_weights_are_told() -> None:
    fixed = "stem.wavelet.color_mixing={position: before, trainable: false}"
    difference = differ(compiled("RwyI", ()), compiled("RwyI", (fixed,)))
    found = effect(difference, "colour weights")
    assert "trained from [0.9802, 1.306, 0.7138] -> fixed at [0.9802" in found.numbers
    assert (difference.model.after - difference.model.before).parameters == 0
