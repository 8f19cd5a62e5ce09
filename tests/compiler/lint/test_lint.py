"""Lint rules: what they find, what they leave alone, and how a spec allows it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wavetwin
from tests.support.shipped import KIND_IDS, KINDS, ROOT, compiled_once, spec_of
from wavetwin.commands import cli
from wavetwin.compiler.lint import LINT_RULES, LintContext
from wavetwin.compiler.render.spec_yaml import dump_spec
from wavetwin.compiler.validate.json_schema import spec_schema
from wavetwin.diagnostics import CompileError, Diagnostic
from wavetwin.diagnostics.codes import DESCRIPTIONS
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.operations import SlidingWindow

SMALL = """\
wavetwin: 1
backbone:
  arch: sequential
  layers: [{flatten: {}}, {linear: {}}]
stem: {free_channels: 4}
data: {dataset: digits}
"""


def warnings_of(folder: Path, text: str, *overrides: str) -> list[Diagnostic]:
    path = folder / "x.yaml"
    path.write_text(text, encoding="utf-8")
    return list(wavetwin.compile(path, list(overrides)).warnings)


def codes(warnings: list[Diagnostic]) -> list[str]:
    return [warning.code for warning in warnings]


def test_each_rule_has_a_name_a_code_and_a_paragraph() -> None:
    choices = spec_schema()["$defs"]["LintAllowSpec"]["properties"]["rule"]["anyOf"][0]["enum"]
    assert choices == list(LINT_RULES)
    document = (ROOT / "docs" / "lint.md").read_text(encoding="utf-8")
    for rule in LINT_RULES.values():
        assert DESCRIPTIONS[rule.name] == rule.meaning
        assert f"\n- `{rule.name}`: " in document


@pytest.mark.parametrize("path", KINDS, ids=KIND_IDS)
def test_shipped_specs_have_no_warning_and_no_needless_suppression(path: Path) -> None:
    compiled = compiled_once(path)
    assert not compiled.warnings
    # Without what they allow they are warned of just that.
    strict = compiled_once(path, "lint=null")
    allowed = () if compiled.spec.lint is None else compiled.spec.lint.allow
    assert {warning.code for warning in strict.warnings} == {entry.rule for entry in allowed}
    assert all(warning.severity == "warning" for warning in strict.warnings)
    assert all(warning.location and warning.help for warning in strict.warnings)


def test_allowing_changes_no_digest_and_is_locked() -> None:
    compiled = compiled_once(spec_of("mnist_cmod"))
    other = compiled_once(spec_of("mnist_cmod"), "lint=null")
    for name in ("model_digest", "training_digest", "digest"):
        assert getattr(compiled, name) == getattr(other, name)
    assert [entry["rule"] for entry in compiled.resolved["lint"]["allow"]] == [
        "samples-dropped",
        "map-below-filter",
    ]
    assert "lint" not in other.resolved
    assert json.dumps(compiled.resolved)


@pytest.mark.parametrize("training", ["{}", "{epochs: 9, schedule: {name: cosine_restarts}}"])
def test_a_lock_is_warned_of_as_its_spec_is(tmp_path: Path, training: str) -> None:
    """It writes out every default."""
    path = tmp_path / "x.yaml"
    path.write_text(f"{SMALL}training: {training}\n", encoding="utf-8")
    compiled = wavetwin.compile(path)
    lock = codes(warnings_of(tmp_path, dump_spec(compiled.resolved)))
    assert lock == codes(list(compiled.warnings))
    assert len(lock) == (training != "{}")


def test_an_unknown_rule_is_an_error_with_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(CompileError) as caught:
        warnings_of(tmp_path, SMALL + "lint: {allow: [{rule: static-gian, reason: so it is}]}\n")
    (found,) = caught.value.diagnostics
    assert found.code == "unknown-choice"
    assert found.help == "did you mean 'static-gain'?"
    assert (found.location and found.location.line) == 7


@pytest.mark.parametrize("reason", ["", '""', '"  "', "null"])
def test_a_suppression_without_a_reason_is_an_error(tmp_path: Path, reason: str) -> None:
    text = f"lint: {{allow: [{{rule: static-gain, reason: {reason}}}]}}\n"
    with pytest.raises(CompileError) as caught:
        warnings_of(tmp_path, SMALL + text)
    assert {each.code for each in caught.value.diagnostics} <= {
        "reason-is-empty",
        "missing-field",
        "null-for-required-field",
    }


def test_warnings_fail_a_strict_check_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(SMALL.replace("[{flatten", "[{pool: {kernel_size: 3}}, {flatten"), "utf-8")
    assert cli.main(["check", str(path)]) == 0
    printed = capsys.readouterr().err
    assert "warning: samples-dropped: trunk.pool1: " in printed
    assert printed.endswith("1 spec checked, no error, 1 warning\n")
    assert cli.main(["check", "--strict", str(path)]) == 2
    allowed = "lint={allow: [{rule: samples-dropped, reason: a test}]}"
    assert cli.main(["check", "--strict", "--set", allowed, str(path)]) == 0
    needless = "lint={allow: [{rule: static-gain, reason: a test}]}"
    capsys.readouterr()
    assert cli.main(["check", "--set", needless, str(path)]) == 0
    printed = capsys.readouterr().err
    assert "samples-dropped" in printed
    assert "--set[1]:1:" in printed
    assert "unused-suppression: the rule static-gain finds nothing to report" in printed


def test_inherited_suppressions_may_be_needless(tmp_path: Path) -> None:
    parent = SMALL + "lint: {allow: [{rule: static-gain, reason: a sibling needs it}]}\n"
    (tmp_path / "parent.yaml").write_text(parent, "utf-8")
    (tmp_path / ".wavetwin.toml").touch()
    assert codes(warnings_of(tmp_path, "extends: parent.yaml\n")) == []
    assert codes(warnings_of(tmp_path, parent)) == ["unused-suppression"]


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 9), st.integers(0, 4))
def test_unread_samples_are_those_in_no_window(
    size: int, kernel: int, stride: int, padding: int
) -> None:
    if size + 2 * padding < kernel or kernel < stride:
        return
    starts = range(-padding, size + padding - kernel + 1, stride)
    covered = {location for start in starts for location in range(start, start + kernel)}
    missing = [location for location in range(size) if location not in covered]
    window = SlidingWindow(kernel_size=kernel, stride=stride, padding=padding)
    assert missing == list(range(size - window.unread(size), size))


@pytest.mark.parametrize(
    ("layer", "location", "help_begins"),
    [
        ("pool: {kernel_size: 3}", 4, "set its padding to 1, or"),
        ("pool: {kind: average, kernel_size: 3}", 4, "set its padding to 1, or"),
        ("conv: {channels: 2, kernel_size: 5, stride: 5, padding: 0}", 4, "set its padding to 2"),
        ("pool: {kernel_size: 6, stride: 6}", 4, "set its padding to 1"),
    ],
)
def test_dropped_samples_are_counted(
    tmp_path: Path, layer: str, location: int, help_begins: str
) -> None:
    (warning,) = warnings_of(tmp_path, SMALL.replace("[{flatten", f"[{{{layer}}}, {{flatten"))
    assert warning.code == "samples-dropped"
    assert warning.location is not None
    assert warning.location.line == location
    assert warning.help is not None
    assert warning.help.startswith(help_begins) or "even" in warning.help
    compiled = wavetwin.compile(tmp_path / "x.yaml")
    assert _dropped(compiled.graph) == warning.headline.split("leave out ")[1]


def _dropped(graph: ModuleGraph) -> str:
    """Say what is not read, found out window by window."""
    (node,) = [n for n in graph if n.id in ("trunk.pool1", "trunk.conv1")]
    size = graph.node(node.inputs[0]).output_shape[1]
    kernel, stride, padding = (node.attributes[k] for k in ("kernel_size", "stride", "padding"))
    read = {
        location
        for window in range(node.output_shape[1])
        for location in range(window * stride - padding, window * stride - padding + kernel)
    }
    count = size - len(read & set(range(size)))
    what = "" if count == 1 else f"{count} "
    plural = "" if count == 1 else "s"
    return f"the last {what}row{plural} and the last {what}column{plural}"


@pytest.mark.parametrize(
    "layer", ["pool: {kernel_size: 2}", "conv: {channels: 2, kernel_size: 1, stride: 3}"]
)
def test_even_windows_and_subsampling_drop_nothing(tmp_path: Path, layer: str) -> None:
    assert not warnings_of(tmp_path, SMALL.replace("[{flatten", f"[{{{layer}}}, {{flatten"))


WAVELET = """\
  wavelet:
    levels: {levels}
    keep:
      - {{packets: [{packets}], channels: 6}}
"""


def wavelet(levels: int, packets: str, norm: str = "none") -> str:
    stem = f"stem:\n  free_channels: 4\n  kernel_size: 9\n  norm: {norm}\n"
    return SMALL.replace("stem: {free_channels: 4}\n", stem + WAVELET.format(**locals()))


@pytest.mark.parametrize(("levels", "gain"), [(1, 4), (2, 8)])
def test_a_kept_low_pass_without_a_norm_enlarges_constants(
    tmp_path: Path, levels: int, gain: int
) -> None:
    (warning,) = warnings_of(tmp_path, wavelet(levels, f"{4**levels}, 1"))
    assert warning.code == "static-gain"
    assert f"arrives {gain} times as large" in warning.headline
    assert not warnings_of(tmp_path, wavelet(levels, "1, 2"))
    assert not warnings_of(tmp_path, wavelet(levels, f"{4**levels}, 1", norm="batch"))


def test_half_a_has_constants_in_its_imaginary_part_alone(tmp_path: Path) -> None:
    """tests/explain/pictures/test_packet_plane.py measures the filters."""
    text = wavelet(2, "0, 1")
    assert not warnings_of(tmp_path, text)
    (warning,) = warnings_of(tmp_path, f"{text}pooling: {{wavelet: modulus}}\n")
    assert "arrives 8 times as large" in warning.headline


def test_colours_add_to_the_gain(tmp_path: Path) -> None:
    """AlexNet's colour mixing starts from weights that add up to 3."""
    text = (
        "wavetwin: 1\nbackbone: {arch: alexnet}\ndata: {dataset: imagenet}\n"
        "stem:\n  free_channels: 32\n  wavelet: {levels: 3, keep: [{packets: [64, 1], channels: 32}]}\n"
    )
    (warning,) = warnings_of(tmp_path, text)
    assert f"arrives {16 * (1.0036 + 1.1630 + 0.8334):.3g} times as large" in warning.headline
    assert "static-gain" not in codes(warnings_of(tmp_path, text.replace("alexnet", "resnet34")))


def test_joint_blurs_before_norms_are_left_alone(tmp_path: Path) -> None:
    text = "wavetwin: 1\nbackbone: {arch: ARCH, downsampling: adaptive_blur}\ndata: {dataset: imagenet}\n"
    text += "pooling: {free: max_adaptive_blur}\n"
    assert not warnings_of(tmp_path, text.replace("ARCH", "resnet18"))
    found = warnings_of(tmp_path, text.replace("ARCH", "alexnet"))
    assert codes(found) == ["joint-blur-without-norm"] * 2
    assert found[0].headline.startswith("pool.blur1 and 1 more node: ")
    assert "1/8" in found[1].headline


def test_paths_without_a_norm_are_found() -> None:
    """A residual network's shortcuts have none until its next stage."""
    compiled = compiled_once(spec_of("R18C"))
    info = LintContext(compiled.loaded, compiled.spec, compiled.graph, compiled.plan)
    free = info.reaches_output_unnormed
    assert {"trunk.fc", "trunk.layer4.1.relu", "trunk.layer4.0.relu"} <= free
    assert "trunk.layer4.1.bn2" in free
    assert not {"pool.max", "trunk.layer3.1.relu", "trunk.layer4.1.conv2"} & free


@pytest.mark.parametrize(
    "change",
    [
        ("weight_decay: 0.0", "weight_decay: 0.001"),
        ("augmentation: none", "augmentation: pad_crop"),
        ("augmentation: none", "augmentation: [{random_crop: {padding: 1}}]"),
        ("  optimizer:", "  mixup: 0.2\n  optimizer:"),
        ("{relu: {}}", "{dropout: {}}"),
        ("{relu: {}}", "{norm: {}}"),
        ("norm: none", "norm: batch"),
        ("features: 500", "features: 6"),
    ],
)
def test_anything_that_holds_a_network_back_is_enough(
    tmp_path: Path, change: tuple[str, str]
) -> None:
    text = (ROOT / "tests/bad_specs/no-regularisation/spec.yaml").read_text(encoding="utf-8")
    assert codes(warnings_of(tmp_path, text)) == ["no-regularisation"]
    if change[1] == "{norm: {}}":
        text = text.replace("{flatten: {}}", "{norm: {}}, {flatten: {}}")
        change = ("", "")
    assert change[0] in text
    assert not warnings_of(tmp_path, text.replace(*change))


NUMBERED = """\
wavetwin: 1
backbone: {arch: resnet18}
data: {dataset: imagenet}
stem:
  free_channels: 40
  wavelet:
    levels: 2
    keep: [{packets: [1, 2, 19, 17, 18, 3], channels: 24, groups: 6}]
"""


def numbered(folder: Path, text: str, *overrides: str) -> list[Diagnostic]:
    """Return the warnings on a child of a spec that keeps packets by number at two levels.

    Not those of longer filters beside the same kernel, which other levels have, too.
    """
    (folder / ".wavetwin.toml").touch()
    (folder / "parent.yaml").write_text(NUMBERED, encoding="utf-8")
    found = warnings_of(folder, f"extends: parent.yaml\n{text}", *overrides)
    return [warning for warning in found if warning.code != "packets-above-kernel"]


OTHER_LEVELS = "stem: {wavelet: {levels: 3}}\n"
RULE = "packets-of-other-levels"


@pytest.mark.parametrize(
    ("text", "overrides", "counts"),
    [
        (OTHER_LEVELS, (), "6 of 32 -> 6 of 128 packets"),
        ("", ("stem.wavelet.levels=3",), "6 of 32 -> 6 of 128 packets"),
        ("", ("stem.wavelet.levels=4",), "6 of 32 -> 6 of 512 packets"),
        (OTHER_LEVELS, ("stem.wavelet.levels=4",), "6 of 32 -> 6 of 512 packets"),
        (
            "stem: {wavelet: {transform: wpt, levels: 3, filters: db4}}\n",
            (),
            "6 of 32 -> 6 of 64 packets, other",
        ),
    ],
)
def test_packets_by_number_under_other_levels_are_warned_of(
    tmp_path: Path, text: str, overrides: tuple[str, ...], counts: str
) -> None:
    (warning,) = numbered(tmp_path, text, *overrides)
    assert warning.code == RULE
    assert counts in warning.headline


def test_each_remedy_for_packets_of_other_levels_is_one(tmp_path: Path) -> None:
    (warning,) = numbered(tmp_path, OTHER_LEVELS)
    assert warning.help == (
        "list the packets of dtcwpt at J = 3 in keep beside it, or keep them by `band`, or set "
        "stem.wavelet.levels to 2"
    )
    for keep in ("{packets: [1, 2, 67], channels: 24}", "{band: 1, channels: 24}"):
        text = f"stem: {{wavelet: {{levels: 3, keep: [{keep}]}}}}\n"
        assert not numbered(tmp_path, text)
    assert not numbered(tmp_path, OTHER_LEVELS, "stem.wavelet.levels=2")
    reason = f"lint: {{allow: [{{rule: {RULE}, reason: the same numbers on purpose}}]}}\n"
    assert not numbered(tmp_path, OTHER_LEVELS + reason)


def test_packets_by_number_that_are_meant_for_these_levels_are_not_warned_of(
    tmp_path: Path,
) -> None:
    keep = "stem.wavelet.keep=[{packets: [1, 2, 67], channels: 24}]"
    for overrides in ((keep, "stem.wavelet.levels=3"), ("stem.wavelet.levels=3", keep)):
        assert not numbered(tmp_path, "", *overrides)
    anew = "stem:\n  wavelet: {levels: 3, keep: [{packets: [1, 2, 67], channels: 24}]}\n"
    assert not numbered(tmp_path, anew)
    # A mixin that lists packets and leaves the levels to others does not say what they count.
    (tmp_path / "mixin.yaml").write_text(
        "wavetwin: 1\nstem: {wavelet: {keep: [{packets: [1, 2, 3], channels: 24}]}}\n",
        encoding="utf-8",
    )
    head = (
        "wavetwin: 1\nextends: mixin.yaml\nbackbone: {arch: resnet18}\ndata: {dataset: imagenet}\n"
    )
    text = f"{head}stem: {{free_channels: 40, wavelet: {{levels: 3}}}}\n"
    assert RULE not in codes(warnings_of(tmp_path, text))


BLURRED = "wavetwin: 1\nbackbone: {arch: alexnet}\ndata: {dataset: imagenet}\n"
SEQUENTIAL_BLUR = SMALL.replace("free_channels: 4", "free_channels: 16") + (
    "pooling: {free: max_adaptive_blur}\n"
)
TWIN_BLUR = BLURRED + (
    "stem: {free_channels: 32, wavelet: {levels: 3, keep: [{band: 1, channels: 32}]}}\n"
    "pooling: {free: max_adaptive_blur, wavelet: max_adaptive_blur}\n"
)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("static-gain", wavelet(2, "16, 1")),
        ("static-gain", wavelet(2, "0, 1") + "pooling: {wavelet: modulus}\n"),
        ("joint-blur-without-norm", f"{BLURRED}pooling: {{free: max_adaptive_blur}}\n"),
        (
            "joint-blur-without-norm",
            BLURRED.replace("net}\nd", "net, downsampling: adaptive_blur}\nd"),
        ),
        ("joint-blur-without-norm", TWIN_BLUR),
        ("joint-blur-without-norm", SEQUENTIAL_BLUR),
        ("map-below-filter", wavelet(3, "1, 2").replace("norm: none", "norm: batch")),
        ("packets-above-kernel", wavelet(2, "1, 2").replace("size: 9", "size: 3")),
        ("packets-of-other-levels", f"extends: parent.yaml\n{OTHER_LEVELS}"),
    ],
)
def test_values_that_a_remedy_names_are_one(tmp_path: Path, code: str, text: str) -> None:
    (tmp_path / ".wavetwin.toml").touch()
    (tmp_path / "parent.yaml").write_text(NUMBERED, encoding="utf-8")
    found = [each for each in warnings_of(tmp_path, text) if each.code == code]
    assert found
    for warning in found:
        assert warning.help is not None
        remedy = re.search(r"set ((?:[\w.]+ and )*[\w.]+) to (\w+)", warning.help)
        assert remedy is not None, warning.help
        overrides = [f"{field}={remedy[2]}" for field in remedy[1].split(" and ")]
        left = warnings_of(tmp_path, text, *overrides)
        assert warning.headline not in [each.headline for each in left if each.code == code]
    if len(found) == 1:
        assert code not in codes(left)


def test_low_pass_packets_that_a_remedy_names_are_those_to_leave_out(tmp_path: Path) -> None:
    text = wavelet(2, "0, 16, 1, 2") + "pooling: {wavelet: modulus}\n"
    (warning,) = warnings_of(tmp_path, text)
    assert warning.help == "leave packets 0 and 16 out of keep, or set stem.norm to batch"
    assert not warnings_of(tmp_path, wavelet(2, "1, 2") + "pooling: {wavelet: modulus}\n")


def test_a_norm_at_the_beginning_of_the_layers_is_a_remedy(tmp_path: Path) -> None:
    (warning,) = warnings_of(
        tmp_path, SEQUENTIAL_BLUR.replace("free_channels", "norm: none, free_channels")
    )
    assert warning.help is not None
    assert "let backbone.layers begin with a norm" in warning.help
    text = SEQUENTIAL_BLUR.replace("free_channels", "norm: none, free_channels")
    assert not warnings_of(tmp_path, text.replace("[{flatten", "[{norm: {}}, {flatten"))


@pytest.mark.parametrize(
    "layer",
    ["pool: {kernel_size: 3}", "conv: {channels: 2, kernel_size: 5, stride: 3, padding: 0}"],
)
def test_a_padding_that_a_remedy_names_is_one(tmp_path: Path, layer: str) -> None:
    text = SMALL.replace("[{flatten", f"[{{{layer}}}, {{flatten")
    (warning,) = warnings_of(tmp_path, text)
    assert warning.help is not None
    padding = re.search(r"set its padding to (\d+)", warning.help)
    assert padding is not None
    padded = re.sub(
        r"(, padding: \d+)?\}\}, \{flatten", f", padding: {padding[1]}}}}}, {{flatten", text
    )
    assert not warnings_of(tmp_path, padded)


@pytest.mark.parametrize(
    ("training", "warned"),
    [
        ("{epochs: 15, schedule: {name: milestones, milestones: [10, 20]}}", "after 20 epochs"),
        ("{epochs: 2, schedule: {name: milestones, milestones: [10, 20]}}", "after 10 and 20 epochs"),
        ("{epochs: 21, schedule: {name: milestones, milestones: [10, 20]}}", ""),
        ("{epochs: 10, schedule: {step_epochs: 10}}", "with step_epochs 10"),
        ("{epochs: 11, schedule: {step_epochs: 10}}", ""),
        ("{epochs: 12, schedule: {name: plateau}}", "with patience 10"),
        ("{epochs: 13, schedule: {name: plateau}}", ""),
        ("{epochs: 3, schedule: {name: cosine, warmup_epochs: 2}}", "with name cosine"),
        ("{epochs: 3, schedule: {name: cosine, warmup_epochs: 1}}", ""),
        ("{epochs: 3, schedule: {name: constant}}", ""),
        ("{epochs: 0, schedule: {step_epochs: 1}}", ""),
        ("{epochs: 3}", ""),
    ],
)  # fmt: skip
def test_a_schedule_that_never_acts_is_told(tmp_path: Path, training: str, warned: str) -> None:
    text = SMALL + f"data: {{dataset: digits, validation: 100}}\ntraining: {training}\n"
    text = text.replace("data: {dataset: digits}\n", "", 1)
    found = [
        warning
        for warning in warnings_of(tmp_path, text)
        if warning.code == "schedule-without-effect"
    ]
    assert len(found) == bool(warned)
    for warning in found:
        assert warned in warning.headline
        # what the help says is enough, and no more than that
        assert warning.help is not None
        enough = int(warning.help.split("for more than ")[1].split()[0]) + 1
        for epochs, count in ((enough, 0), (enough - 1, 1)):
            again = warnings_of(tmp_path, text, f"training.epochs={epochs}")
            assert codes(again).count("schedule-without-effect") == count


def test_invariant_layers_are_not_up_sampled_for_a_pooling(tmp_path: Path) -> None:
    """Also behind what keeps positions; a convolution that strides is trained for what it reads."""
    between = "[{{invariant: {{channels: 4{}}}}}, {{relu: {{}}}}, {}, {{flatten: {{}}}}, {{linear: {{}}}}]"

    def found(more: str, after: str) -> bool:
        text = SMALL.replace("[{flatten: {}}, {linear: {}}]", between.format(more, after))
        return "invariant-upsampled-before-pool" in codes(warnings_of(tmp_path, text))

    assert found("", "{pool: {kind: average}}")
    assert not found(", stride: 2", "{pool: {}}")
    assert not found("", "{pool: {kernel_size: 3, stride: 1, padding: 1}}")
    assert not found("", "{conv: {channels: 4, stride: 2}}")


@pytest.mark.parametrize(
    ("training", "headline"),
    [
        (
            "epochs: 9, schedule: {name: cosine_restarts}",
            "with first_epochs 10 the rate does not start anew within 9 epochs",
        ),
        (
            "epochs: 9, early_stopping: 8",
            "with early_stopping 8 no training of 9 epochs ends early",
        ),
        (
            "freeze: [stem], frozen_norms: training",
            "frozen_norms is of the batch norms that training.freeze holds fixed, and it holds none",
        ),
        (
            "groups: [{match: [trunk], lr_factor: 2}, {match: [classifier], weight_decay: 0}]",
            "all parameters that group 2 matches are frozen, or in groups before it",
        ),
        (
            "groups: [{match: [biases], weight_decay: 0.0001}]",
            "group 1 has the rate and the weight decay of the rest",
        ),
        ("groups: [{match: [biases], weight_decay: 0}]", None),
        (
            "epochs: 2, batch_size: 1, mixup: 0.2",
            "mixup mixes the images of a batch, and a batch is one image",
        ),
        (
            "epochs: 10, batch_size: 128, average_decay: 0.99",
            "after 100 steps of a decay of 0.99, 37% of the averaged weights are the initial ones",
        ),
        ("epochs: 11, early_stopping: 8, schedule: {name: cosine_restarts}", None),
    ],
)
def test_settings_of_the_training_without_effect(
    tmp_path: Path, training: str, headline: str | None
) -> None:
    found = warnings_of(tmp_path, SMALL + f"training: {{{training}}}\n")
    found = [each for each in found if each.code == "setting-without-effect"]
    assert [each.headline for each in found] == ([headline] if headline else [])


@pytest.mark.parametrize(
    ("transform", "reason"),
    [
        ("random_invert: {p: 0}", "with p 0 it never happens"),
        ("random_erasing: {p: 0}", "with p 0 it never happens"),
        ("color_jitter: {}", "it is asked for no change"),
        ("random_rotation: {degrees: 0}", "with degrees 0 nothing is rotated"),
        ("random_affine: {degrees: 0}", "it is asked for no motion"),
        (
            "random_adjust_sharpness: {sharpness_factor: 1}",
            "with sharpness_factor 1 it changes nothing",
        ),
        ("gaussian_blur: {kernel_size: 1}", "with kernel_size 1 nothing is smoothed"),
        ("gaussian_noise: {sigma: 0}", "the noise is 0 everywhere"),
        ("color_jitter: {brightness: 0.1}", None),
        ("random_affine: {degrees: 0, shear: 3}", None),
        ("gaussian_noise: {}", None),
    ],
)
def test_transforms_without_effect(tmp_path: Path, transform: str, reason: str | None) -> None:
    found = warnings_of(tmp_path, SMALL, f"data.augmentation=[{{{transform}}}]")
    found = [each for each in found if each.code == "setting-without-effect"]
    key = transform.partition(":")[0]
    assert [each.headline for each in found] == ([f"{key}: {reason}"] if reason else [])


def test_a_list_that_draws_nothing_holds_nothing_back(tmp_path: Path) -> None:
    text = (ROOT / "tests/bad_specs/no-regularisation/spec.yaml").read_text(encoding="utf-8")
    for idle in ("{random_invert: {p: 0}}", "{resize: {size: 40}}, {random_crop: {}}"):
        listed = text.replace("augmentation: none", f"augmentation: [{idle}]")
        is_idle = "random_crop" not in idle
        assert ("no-regularisation" in codes(warnings_of(tmp_path, listed))) == is_idle
