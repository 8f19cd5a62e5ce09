"""What diff says is true of the pair: each sentence's claims are checked on both graphs and plans."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.support.diff_pairs import ALL_WAVELET, CHANGES, REAL, SIDES, compiled, differ, tried
from wavetwin.compiler.compiled import Compiled
from wavetwin.explain.diff.difference import Difference
from wavetwin.explain.diff.scores import published_scores
from wavetwin.ir.node import Node
from wavetwin.ir.packets import plane_cells

COUNTS = r"(the same [\d,]+|no|[\d,]+ -> [\d,]+)(?: \([^)]*\))?"
NORMS = ("batch_norm", "energy_norm")
BLURS = ("blur_pool", "adaptive_blur")


def with_ops(each: Compiled, *ops: str, below: str = "") -> list[Node]:
    return [
        node for node in each.graph if (node.op in ops or not ops) and node.id.startswith(below)
    ]


def claims(difference: Difference) -> str:
    return "\n".join(
        [f"{each.kind}: {each.text} {each.numbers}" for each in difference.effects]
        + list(difference.plan.notes)
    )


def counted(before: int, after: int) -> str:
    if before == after:
        return f"the same {after:,}" if after else "no"
    return f"{before:,} -> {after:,}"


def check_modulus(text: str, sides: tuple[Compiled, Compiled]) -> None:
    taken = [bool(with_ops(each, "modulus")) for each in sides]
    for sentence in re.split(r"\n", text):
        if "here it is not" in sentence:
            assert not any(taken), sentence
        elif "a modulus is taken in the " in sentence:
            assert f"in the {'second' if taken[1] else 'first'} alone" in sentence
            assert taken[0] != taken[1], sentence
        elif re.search(r"modulus(?! hardly)|CMod", sentence):
            is_rule = "can be pooled by the modulus" in sentence or "no modulus" in sentence
            assert any(taken) or is_rule, sentence
    assert ("CMod" in text.replace("CMod has", "")) == (
        taken[0] != taken[1] or "blur -> modulus" in text
    ) or all(taken)


def check_notes(text: str, sides: tuple[Compiled, Compiled]) -> None:
    has_norms = any(with_ops(each, *NORMS) for each in sides)
    if "batch norm" in text:
        assert has_norms
    plans = [each.plan for each in sides]
    fields = [plan.batch_size for plan in plans], [plan.accumulate for plan in plans]
    if "at the same rate" in text:
        assert len({(p.optimizer.lr, p.schedule, p.epochs) for p in plans}) == 1
        assert len(set(fields[0])) == 2
    if "another learning rate" in text:
        assert len({(p.optimizer.lr, p.schedule, p.epochs) for p in plans}) == 2
    if "rounding alone" in text:
        assert len(set(fields[1])) == 2
        assert not has_norms
    drops = [n for each in sides for n in with_ops(each, "dropout") if n.attributes["probability"]]
    if "dropout" in text:
        assert drops
    if len(set(fields[1])) == 2:
        assert ("what each batch norm sees" in text) == has_norms
        assert ("dropout" in text) == bool(drops)
    if "all training images" in text:
        assert all(p.batch_size >= (p.data.training_images or 10**9) for p in plans)


def check_blurs(difference: Difference, sides: tuple[Compiled, Compiled]) -> None:
    for each in difference.effects:
        found = re.search(r"The (trunk|first pooling) has (\d+) -> (\d+) blurs? with", each.numbers)
        if found is None:
            continue
        section = "trunk" if found[1] == "trunk" else "pool"
        blurs = [with_ops(side, *BLURS, below=section) for side in sides]
        assert [int(found[2]), int(found[3])] == list(map(len, blurs))
        # What is said is of the channels that the change is of, where a pooling divides them.
        part = re.search(r"\(first pooling, (free|wavelet) channels\)", each.kind)
        if part is not None:
            parts = [
                f"pool.{part[1]}" if with_ops(s, below=f"pool.{part[1]}") else "pool" for s in sides
            ]
            pools = [part[1] == "wavelet" or s.spec.stem.free_channels != 0 for s in sides]
            blurs = [
                with_ops(s, *BLURS, below=below) if is_there else []
                for s, below, is_there in zip(sides, parts, pools, strict=True)
            ]
            assert ("no free channels" in each.text) == (not all(pools))
        sizes = {str(node.attributes["size"]) for nodes in blurs for node in nodes}
        said = re.search(r"low-pass of size ([\d> -]+?) (?:before|for)", each.text)
        assert (said is not None) == any(blurs)
        assert said is None or set(said[1].split(" -> ")) == sizes
        adaptive = [n for nodes in blurs for n in nodes if n.op == "adaptive_blur"]
        assert ("adaptive blur predicts" in each.text) == bool(adaptive)
        assert ("softmax is over all groups" in each.text) == any(
            n.attributes["groups"] != 1 for n in adaptive
        )


def check_numbers(text: str, sides: tuple[Compiled, Compiled]) -> None:
    def total(prefix: str, what: str) -> str:
        sums = [
            sum(
                node.macs if what == "MACs" else node.parameters.total
                for node in each.graph
                if node.id.startswith(prefix)
            )
            for each in sides
        ]
        return counted(*sums)

    for line in text.split("\n"):
        if found := re.search(rf"The trunk has {COUNTS} parameters", line):
            assert found[1] == total("trunk.", "parameters")
        if found := re.search(rf"the first layer has {COUNTS} parameters", line):
            assert found[1] == total("stem.", "parameters")
        if found := re.search(rf"the mixing has {COUNTS} parameters", line):
            assert found[1] == total("stem.wavelet.mixing", "parameters")
        if found := re.search(r"(\d+) -> (\d+) rows? drawn by it", line):
            rows = list(map(drawn_rows, sides))
            assert [int(found[1]), int(found[2])] == rows


def drawn_rows(each: Compiled) -> int:
    """Count the trained rows of several packets that a penalty weighs."""
    penalty, (mixing,) = each.plan.regularisation, with_ops(each, "packet_mixing")
    if penalty is None or each.plan.epochs == 0 or each.spec.stem.frozen:
        return 0
    bands = mixing.attributes["bands"]
    return sum(
        channels
        for (packets, channels, groups), weight in zip(bands, penalty.lambdas, strict=True)
        if packets > groups and weight > 0
    )


def check_training(text: str, sides: tuple[Compiled, Compiled]) -> None:
    trains = [
        each.plan.epochs > 0
        and any(n.parameters.trainable for n in each.graph if n.id == "stem.free")
        for each in sides
    ]
    for line in text.split("\n"):
        if "is left to training" in line and line.startswith("free channels"):
            assert any(trains)
        if "training decides what becomes" in line:
            assert all(trains)
        if "stay there" in line:
            assert not all(trains)
        if line.startswith("trained filters"):
            assert any(with_ops(each, "packets")[0].parameters.trainable for each in sides)


def check_all(first: Compiled, second: Compiled) -> None:
    difference = differ(first, second)
    text, sides = claims(difference), (first, second)
    check_modulus(text, sides)
    check_notes(text, sides)
    check_blurs(difference, sides)
    check_numbers(text, sides)
    check_training(text, sides)
    explained = tuple(field for each in difference.effects for field in each.fields)
    for change in difference.changes.fields:
        if change.name.startswith(("backbone", "stem", "pooling")):
            assert change.name.startswith(explained), (change.name, explained)
    if not difference.changes:
        assert not text


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(SIDES, SIDES, st.booleans())
def test_every_sentence_is_true_of_the_pair(first: tuple, second: tuple, related: bool) -> None:
    ours = tried(*first)
    name, changes = second
    theirs = tried(first[0] if related else name, changes)
    assume(ours is not None)
    assume(theirs is not None)
    assert ours is not None
    assert theirs is not None
    check_all(ours, theirs)
    check_all(theirs, ours)


def test_the_step_of_the_modulus_is_told_where_the_free_pooling_changes_it() -> None:
    for name, changes in (
        ("AwyI_mod", ()),
        ("AwyI_mod", (*ALL_WAVELET, "stem.wavelet.exclude=[]")),
    ):
        plain, none = compiled(name, *changes), compiled(name, *changes, "pooling.free=none")
        (text,) = kinds(plain, none).values()
        assert "every 2nd -> single" in text
        assert ("there are none" in text) == bool(changes)
        blurred = compiled(name, *changes, "pooling.free=max_blur", "stem.stride=4")
        (text,) = kinds(plain, blurred).values()
        assert "every 2nd -> 4th" in text


def test_what_is_said_of_a_blur_is_of_the_channels_that_the_change_is_of() -> None:
    plain, blurred = (
        compiled("Rzo3wyI", f"pooling.wavelet={kind}") for kind in ("max", "max_blur")
    )
    check_blurs(differ(plain, blurred), (plain, blurred))
    (text,) = kinds(plain, blurred).values()
    assert "adaptive" not in text


@pytest.mark.parametrize("wavelet", ["max", "max_blur", "modulus", "modulus_blur"])
@pytest.mark.parametrize("free", ["max", "max_blur"])
@pytest.mark.parametrize("size", [3, 5])
def test_what_pools_no_channels_does_nothing(wavelet: str, free: str, size: int) -> None:
    """Only one side has free channels, and what blurs the other's wavelet channels is not theirs."""
    for name in ("Rzh3wyI_mod", "RwyI_mod"):
        without = compiled(name, *ALL_WAVELET, f"pooling.blur_size={size}")
        other = tried("AwyI", (f"pooling.wavelet={wavelet}", f"pooling.free={free}"))
        if other is not None:
            check_all(without, other)
            check_all(other, without)


def test_a_cnn_and_a_twin_without_free_channels() -> None:
    for changes in ((), ("pooling.free=max_blur",)):
        cnn, twin = compiled("AI"), compiled("RwyI", *ALL_WAVELET, *changes)
        check_all(cnn, twin)
        check_all(twin, cnn)


@pytest.mark.parametrize("name", ["AwyI_mod", "R18wyC", "twin_mod", "cnn"])
def test_every_change_by_itself(name: str) -> None:
    base = compiled(name)
    for change in CHANGES:
        other = tried(name, (change,))
        if other is not None:
            check_all(base, other)


def test_entries_that_are_resized_otherwise_are_named() -> None:
    def notes(first: str, second: str) -> list[str]:
        sides = [compiled("AI", f"evaluation=[{each}]") for each in (first, second)]
        return list(differ(*sides).plan.notes)

    suites = "the evaluation suites differ: only entries of both have scores to compare"
    kl = "{mode: shifts, direction: %s, max_shift: 8, metric: kl_divergence%s}"
    plain, eight = kl % ("diagonal", ""), kl % ("diagonal", ", resize: pil")
    more = f"{plain}, {kl % ('vertical', '')}", f"{eight}, {kl % ('vertical', ', resize: pil')}"
    for first, second, expected in (
        (plain, eight, "; one entry differs by `resize` alone: the second rounds to 8 bits"),
        (eight, plain, "; one entry differs by `resize` alone: the first rounds to 8 bits"),
        (*more, "; 2 entries differ by `resize` alone: the second rounds to 8 bits"),
    ):
        (note,) = notes(first, second)
        assert note.startswith(suites + expected)
    # Another direction is another entry; both directions of change at once are left to the rows.
    assert notes(plain, kl % ("vertical", ", resize: pil")) == [suites]
    mixed = f"{plain}, {kl % ('vertical', ', resize: pil')}", f"{eight}, {kl % ('vertical', '')}"
    assert notes(*mixed) == [suites]


def test_entries_of_the_same_predictions_are_named() -> None:
    def notes(first: str, second: str) -> list[str]:
        sides = [compiled("AI", f"evaluation=[{each}]") for each in (first, second)]
        return list(differ(*sides).plan.notes)

    plain, ten = "{mode: one_crop}", "{mode: ten_crops, predictions: true}"
    rest = " alone: entries give the same predictions, and their errors compare"
    for second, names in (
        ("{mode: one_crop, predictions: true}", "`predictions`"),
        ("{mode: one_crop, calibration_bins: 10}", "`calibration_bins`"),
        (
            "{mode: one_crop, calibration_bins: 10, predictions: true}",
            "`calibration_bins` and `predictions`",
        ),
    ):
        assert notes(plain, second) == [f"the evaluation suites differ by {names}{rest}"]
        assert notes(f"{second}, {ten}", f"{plain}, {ten}") == [
            f"the evaluation suites differ by {names}{rest}"
        ]
        # Another mode as well, or another split: not alone.
        other = ["the evaluation suites differ: only entries of both have scores to compare"]
        assert notes(plain, f"{second}, {ten}") == other
        assert notes(plain, second.replace("one_crop", "one_crop, split: validation")) == other


def test_notes_on_batches_are_about_layers_that_there_are() -> None:
    def notes(name: str, *changes: str) -> list[str]:
        return list(differ(compiled(name), compiled(name, *changes)).plan.notes)

    batch, parts = "training.batch_size=128", "training.accumulate=4"
    assert notes("AI", batch) == ["another batch: other noise in the gradient at the same rate"]
    assert notes("AI", batch, "training.optimizer.lr=0.005") == [
        "another batch: other noise in the gradient, and another learning rate beside it"
    ]
    assert notes("AI", batch, "training.schedule={name: cosine, step_epochs: null, gamma: null}")[
        :1
    ] == ["another batch: other noise in the gradient, and another learning rate beside it"]
    assert "batch norms" in notes("RI", batch)[0]
    assert notes("AwyI_mod", parts) == [
        "micro-batches change which values dropout draws, and rounding; not the gradient's scale"
    ]
    assert notes("RI", parts) == [
        "micro-batches change what each batch norm sees, and rounding; not the gradient's scale"
    ]
    one = "backbone.layers=[{dropout: {}}, {flatten: {}}, {linear: {}}]"
    base = compiled("cnn", "stem.norm=none", one)
    assert differ(base, compiled("cnn", "stem.norm=none", one, parts)).plan.notes == (
        "micro-batches change which values dropout draws on a GPU, and rounding; not the gradient's scale",
    )
    no_dropout = "backbone.layers=[{flatten: {}}, {linear: {}}]"
    base = compiled("cnn", "stem.norm=none", no_dropout)
    other = compiled("cnn", "stem.norm=none", no_dropout, parts)
    assert differ(base, other).plan.notes == (
        "micro-batches change rounding alone: no layer here sees more than one image, or draws",
    )
    full = differ(
        compiled("cnn", "training.batch_size=5000"), compiled("cnn", "training.batch_size=6000")
    )
    assert full.plan.notes == ("both batches hold all training images: a step sees the same ones",)


def kinds(first: Compiled, second: Compiled) -> dict[str, str]:
    return {each.kind: f"{each.text} {each.numbers}" for each in differ(first, second).effects}


def test_the_modulus_is_said_to_be_taken_only_where_it_is() -> None:
    for name, end in (("AwyI", "if the modulus is taken; here it is not."), ("AwyI_mod", "band.")):
        found = differ(compiled(name), compiled(name, "stem.wavelet.regularisation=null")).effects
        assert [each.text.endswith(end) for each in found] == [True], name
    mixed = kinds(compiled("RwyI"), compiled("RwyI_mod", "stem.wavelet.levels=3"))
    assert "(a modulus is taken in the second alone)" in mixed["J = 2 -> 3"]
    real = compiled("RwyI", *REAL)
    other = compiled("RwyI", *REAL, "stem.wavelet.levels=3")
    assert not any("modulus" in text for text in kinds(real, other).values())


def test_a_penalty_that_draws_nothing_is_said_to() -> None:
    none, zero = (
        compiled("AwyI", f"stem.wavelet.regularisation={value}") for value in ("null", "0.0")
    )
    assert "draws no row of the mixing anywhere here" in kinds(none, zero)["lambda"]
    frozen = [
        compiled("AwyI", "stem.frozen=true", f"stem.wavelet.regularisation={value}")
        for value in ("null", "0.1")
    ]
    assert "0 -> 0 rows drawn by it" in kinds(*frozen)["lambda"]
    assert "0 -> 26 rows drawn by it" in kinds(none, compiled("AwyI"))["lambda"]


def test_what_no_layer_has_is_said_to_change_nothing() -> None:
    plain, larger = compiled("RI"), compiled("RI", "pooling.blur_size=5")
    assert "Nothing blurs here" in kinds(plain, larger)["blur size 3 -> 5"]
    one, other = (
        compiled("R18C"),
        compiled("R18C", "pooling.free=max_blur", "pooling.blur_size=5"),
    )
    assert list(kinds(one, other)) == ["max -> max_blur (first pooling)"]
    wavelet = compiled("RwyI", *ALL_WAVELET, "pooling.wavelet=max")
    for change, kind in (
        ("stem.kernel_size=5", "first kernel (no free channels)"),
        ("pooling.free=max_blur", "max -> max_blur (no free channels)"),
    ):
        found = kinds(wavelet, compiled("RwyI", *ALL_WAVELET, "pooling.wavelet=max", change))
        assert list(found) == [kind]
        assert "nothing" in found[kind]
    padded = kinds(compiled("RI"), compiled("RI", "stem.padding=1"))
    assert list(padded) == ["first padding"]


def test_trained_is_said_of_what_is_trained() -> None:
    frozen = compiled("RwyI", "stem.frozen=true")
    taps = compiled("RwyI", "stem.frozen=true", "stem.wavelet.trainable_filters=true")
    assert "Nothing trains the taps here" in kinds(frozen, taps)["trainable filters"]
    start = compiled("RI", "stem.frozen=true", "stem.initial_weights={checkpoint: a.safetensors}")
    assert "and stay there" in kinds(compiled("RI", "stem.frozen=true"), start)["initial weights"]
    untrained = (
        compiled("RI", "training.epochs=0"),
        compiled("RI", "training.epochs=0", "stem.initial_weights={checkpoint: a.safetensors}"),
    )
    assert "and stay there" in kinds(*untrained)["initial weights"]


def test_groups_that_stay_are_not_said_to_change() -> None:
    def ordered(packets: str) -> Compiled:
        return compiled(
            "RwyI", f"stem.wavelet.keep=[{{packets: {packets}, channels: 24, groups: 3}}]"
        )

    inside = kinds(ordered("[1, 2, 19, 17, 18, 3]"), ordered("[2, 1, 17, 19, 3, 18]"))
    across = kinds(ordered("[1, 2, 19, 17, 18, 3]"), ordered("[1, 19, 2, 17, 18, 3]"))
    assert "the same ones share a mixing group" in inside["packet order"]
    assert "others share a mixing group" in across["packet order"]


def test_a_modulus_that_is_blurred_keeps_every_position_that_it_keeps() -> None:
    found = kinds(compiled("RwyI"), compiled("RwyI", "pooling.wavelet=modulus_blur"))
    assert "keep every 2nd position (2 x 2 pixels)" in found["RMax -> CMod with blur"]
    blurred = kinds(compiled("Rzh3wyI"), compiled("Rzh3wyI", "pooling.wavelet=modulus_blur"))
    assert "the blur stays" in blurred["RMax with blur -> CMod with blur"]


@pytest.mark.parametrize(
    ("name", "levels", "after", "covered"),
    [
        ("RwyI", 3, "16 of 32 -> 16 of 128", (50.0, 12.5)),
        ("RwyI_mod", 4, "16 of 32 -> 16 of 512", (50.0, 3.12)),
    ],
)
def test_packets_kept_by_number_are_said_to_be_others_under_other_levels(
    name: str, levels: int, after: str, covered: tuple[float, float]
) -> None:
    base, other = compiled(name), compiled(name, f"stem.wavelet.levels={levels}")
    for first, second, shares in ((base, other, covered), (other, base, covered[::-1])):
        difference = differ(first, second)
        (found,) = [each for each in difference.effects if each.kind == "frequencies kept"]
        counts = " -> ".join(after.split(" -> ")[:: 1 if first is base else -1])
        assert "16 packet numbers kept in both" in found.text
        assert f"{counts} packets are mixed" in found.numbers
        assert f"they cover {shares[0]:.3g} % -> {shares[1]:.3g} % of the" in found.numbers
        (keep,) = [each for each in difference.model.layers if each.node.op == "keep_packets"]
        assert keep.kind == "changed"
    assert "packet numbers kept in both" not in str(
        kinds(compiled("AwyI"), compiled("AwyI", "stem.wavelet.filters=qshift_b"))
    )


def test_the_part_of_the_plane_that_both_cover_is_found_by_sampling_it() -> None:
    first, second = compiled("RwyI"), compiled("RwyI", "stem.wavelet.levels=3")
    points, both = 64, 0
    for row in range(points):
        for column in range(points):
            both += all(kept_at(each, row / points, column / points) for each in (first, second))
    (found,) = [each for each in differ(first, second).effects if each.kind == "frequencies kept"]
    assert f"{100 * both / points**2:.3g} % in both" in found.numbers


def kept_at(each: Compiled, down: float, right: float) -> bool:
    """Whether a kept packet has the frequency at this point of the plane, from its upper left."""
    wavelet = each.spec.stem.wavelet
    assert wavelet is not None
    side = 2 ** (wavelet.levels + 1)
    cell = int(down * side), int(right * side)
    return any(
        cell in plane_cells(wavelet.transform, wavelet.levels, number)
        for entry in wavelet.keep
        for number in entry.packets or ()
    )


def test_statements_on_the_published_networks_are_true_of_them() -> None:
    rates, divergences = "mean_flip_rate", "kl_divergence.horizontal.1px"

    def ratios(pairs: dict[str, str], figure: str) -> list[float]:
        scores = [
            (
                published_scores(compiled(one))[figure].value,
                published_scores(compiled(two))[figure].value,
            )
            for one, two in pairs.items()
        ]
        return [after / before for before, after in scores]

    twins = {
        "AI": "AwyI", "Azh3I": "Azh3wyI", "RI": "RwyI", "Rzh3I": "Rzh3wyI", "Rzo3I": "Rzo3wyI",
        "R18C": "R18wyC", "R18zh3C": "R18zh3wyC", "R18zo3C": "R18zo3wyC", "R34C": "R34wyC",
        "R34zh3C": "R34zh3wyC", "R34zo3C": "R34zo3wyC",
    }  # fmt: skip
    assert all(0.92 < ratio < 1.08 for ratio in ratios(twins, rates))
    assert all(0.65 < ratio < 1.35 for ratio in ratios(twins, divergences))
    blurs = {"AI": "Azh3I", "RI": "Rzh3I", "R18C": "R18zh3C", "R34C": "R34zh3C"}
    assert max(ratios(blurs, rates) + ratios(blurs, divergences)) < 1
    adaptive = {"RI": "Rzo3I", "R18C": "R18zo3C", "R34C": "R34zo3C"}
    assert max(ratios(adaptive, rates)) < 1
    assert min(ratios(adaptive, divergences)) < 1 < max(ratios(adaptive, divergences))
