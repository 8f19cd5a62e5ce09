"""The report of several runs: figures against values worked out by hand."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.plans import make_plan
from tests.support.run_files import ONE_CROP, epoch, record, shift_entry, write, write_run
from wavetwin.commands import cli
from wavetwin.explain.report import ReportOptions, report, write_report
from wavetwin.ir.plan import InitialWeightsPlan, TrainingPlan
from wavetwin.published import find_published
from wavetwin.runtime.process.errors import RunError

ERRORS = {"loss": 0.5, "top1_error": 0.25, "top5_error": 0.0625}
RATES = {"flip_rate": {"1": 0.125, "2": 0.25}, "mean_flip_rate": 0.1875}


def table_rows(text: str, title: str) -> list[list[str]]:
    """Cells of the table below a heading, the header first."""
    _, _, rest = text.partition(f"# {title}\n")
    assert rest, f"no section {title} in:\n{text}"
    lines = [line for line in re.split(r"\n#+ ", rest)[0].splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [cells[0], *cells[2:]]


def plan_of(seed: int = 7, **changes: Any) -> TrainingPlan:
    return make_plan(seed=seed, training_digest=f"{seed:08x}" + "0" * 56, **changes)


def test_row_of_a_run_shows_scores_with_intervals(tmp_path: Path) -> None:
    grid = shift_entry("both", "kl_divergence", pixel_divide=2, normalise=False)
    scores = [
        record(ONE_CROP, ERRORS, intervals={"top1_error": [0.2, 0.3], "top5_error": [0.05, 0.1]}),
        record(shift_entry("diagonal", "flip_rate", max_step=1), RATES),
        record(
            grid,
            {"kl_divergence": [[0.0, 0.1], [0.1, 0.75]]},
            intervals={"kl_divergence": [[[0.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.5, 1.0]]]},
        ),
        record({"mode": "corruptions", "root": "C", "normalise": True}, {"mce": 98.25}),
        record(shift_entry("diagonal", "flip_rate", max_step=1) | {"resize": "pil"}, RATES),
        record(ONE_CROP | {"resize": "pil"}, ERRORS | {"top1_error": 0.5}),
    ]
    run = write_run(tmp_path, plan_of(), scores, [epoch(1, 1.5, 0.4), epoch(2, 1.0, 0.3)])
    header, row = table_rows(report([run]), "Runs")
    assert dict(zip(header, row, strict=True)) == {
        "run": "tiny (00000007-s7)",
        "top-1 error": "25.00% [20.00, 30.00]",
        "top-5 error": "6.25% [5.00, 10.00]",
        "mean flip rate, diagonal to 2 px, steps to 1": "18.75%",
        "KL at the largest shift, both to 2 px by 1/2 px, not normalised": "0.7500 [0.5000, 1.0000]",
        "mCE, C": "98.2%",
        "mean flip rate, diagonal to 2 px, steps to 1, resized in 8 bits": "18.75%",
        "top-1 error, resized in 8 bits": "50.00%",
        "top-5 error, resized in 8 bits": "6.25%",
        "parameters": "1,594",
        "MACs": "3,150",
        "epochs": "2",
        "training time": "0:01:15",
    }


def test_last_record_of_an_entry_is_the_current_one(tmp_path: Path) -> None:
    old, new = record(ONE_CROP, ERRORS | {"top1_error": 0.75}), record(ONE_CROP, ERRORS)
    run = write_run(tmp_path, plan_of(), [old, new], [epoch(2, 1.0, None)])
    assert "| 25.00% |" in report([run])
    assert "75.00%" not in report([run])


def test_marks_of_a_run_are_said(tmp_path: Path) -> None:
    marked = {"drift": ["data-changed: 1 file"], "checkpoint": "best", "limit_batches": 3}
    marked |= {"skipped": 2}
    run = write_run(
        tmp_path,
        plan_of(),
        [record(ONE_CROP, ERRORS, **marked)],
        [epoch(2, 1.0, None)],
        dirty=True,
        status="failed",
        drift=["script-modified"],
        bad_images={"a.png": "truncated"},
    )
    assert (
        report([run])
        .rstrip()
        .endswith(
            "- tiny (00000007-s7): commit "
            + "c" * 40
            + "; digest "
            + "d" * 64
            + "; built from uncommitted changes; modified after the build: data-changed: 1 file, "
            "script-modified; not finished (failed); 1 damaged images left out of training; some scores "
            "are of other weights than the last: best after epoch 2; some scores are of a few batches "
            "only: --limit-batches 3; damaged images left out of some scores: 2 of one crop"
        )
    )


def test_a_trial_is_no_result(tmp_path: Path) -> None:
    """It replaces none, and alone its headings say what it is of."""
    trial = record(ONE_CROP, ERRORS | {"top1_error": 0.75}, limit_batches=3)
    best = record(ONE_CROP, ERRORS | {"top1_error": 0.5}, checkpoint="best", skipped=1)
    runs = [
        write_run(tmp_path, plan_of(seed), scores)
        for seed, scores in enumerate(([record(ONE_CROP, ERRORS), best, trial], [trial], [best]))
    ]
    header, *rows = table_rows(report(runs), "Runs")
    cells = [dict(zip(header, row, strict=True)) for row in rows]
    names = ("", ", 3 batches only", ", best weights, without damaged images")
    assert [[row[f"top-1 error{name}"] for name in names] for row in cells] == [
        ["25.00%", "", ""],
        ["", "75.00%", ""],
        ["", "", "50.00%"],
    ]


def test_markdown_is_of_one_line_a_row_and_the_same_each_time(tmp_path: Path) -> None:
    epochs = [epoch(1, 1.5, 0.4), epoch(2, 1.0, 0.3)]
    hostile = write_run(tmp_path, plan_of(name="a<b>|c"), [record(ONE_CROP, ERRORS)], epochs)
    runs = [hostile, write_run(tmp_path, plan_of(), [], epochs)]
    text = write_report(runs, tmp_path / "report/report.html")
    assert [path.name for path in (tmp_path / "report").iterdir()] == ["report.html"]
    assert str(tmp_path) not in text
    assert "| a<b>\\|c (00000007-s7) |" in text
    assert write_report(runs, tmp_path / "again.md") == text == report(runs)
    assert (tmp_path / "again.md").read_text(encoding="utf-8") == text
    assert not (tmp_path / "again.html").exists()


def test_means_over_seeds(tmp_path: Path) -> None:
    """Mean and sample standard deviation of 0.1, 0.2, 0.3; a trial is no run of the training."""
    runs = [
        write_run(
            tmp_path, plan_of(seed), [record(ONE_CROP, ERRORS | {"top1_error": error})], suffix=end
        )
        for seed, error, end in ((0, 0.1, ""), (1, 0.2, "-2"), (2, 0.3, ""), (3, 0.9, "-limit4"))
    ]
    runs.append(write_run(tmp_path, plan_of(4, name="wide"), [record(ONE_CROP, ERRORS)]))
    header, row = table_rows(report(runs), "Means over seeds")
    cells = dict(zip(header, row, strict=True))
    assert (cells["experiment"], cells["seeds"]) == ("tiny", "0 1 2")
    assert cells["top-1 error"] == "20.00% ± 10.00"
    assert cells["top-5 error"] == "6.25% ± 0.00"
    assert "Means over seeds" not in report(runs[3:])


def test_a_seed_counts_once_in_the_means(tmp_path: Path) -> None:
    """The run that was started last, unless it is not finished; of 0.1 and 0.3 the mean is 0.2."""
    days = {"-2": "2026-01-04", "-3": "2026-01-05", "": "2026-01-03"}
    runs = [
        write_run(
            tmp_path,
            plan_of(seed),
            [record(ONE_CROP, ERRORS | {"top1_error": error})],
            suffix=suffix,
            status=status,
            lives=[{"started": f"{days[suffix]}T00:00:00+00:00"}],
        )
        for seed, suffix, error, status in (
            (0, "-3", 0.9, "failed"),
            (0, "-2", 0.1, "finished"),
            (0, "", 0.8, "finished"),
            (1, "", 0.3, "finished"),
        )
    ]
    text = report(runs)
    header, row = table_rows(text, "Means over seeds")
    cells = dict(zip(header, row, strict=True))
    assert (cells["seeds"], cells["top-1 error"]) == ("0 1", "20.00% ± 14.14")
    assert (
        "- tiny, seed 0: tiny (00000000-s0-2) counts; left out: tiny (00000000-s0-3), "
        "tiny (00000000-s0)\n"
    ) in text
    assert "Means over seeds" not in report(runs[:3])


def judged(code: str) -> dict[str, Any]:
    """An entry with a metric of the project's own, of a file with this SHA-256."""
    module = {"file": "own/metrics.py", "name": "balanced", "arguments": None}
    module["files"] = {"own/metrics.py": code * 64}
    return ONE_CROP | {"metrics": [{"name": "balanced", "module": module}]}


def judged_run(tmp_path: Path, seed: int, value: float, code: str, name: str = "tiny") -> Path:
    scores = ERRORS | {"metrics": {"balanced": value}}
    entry = record(judged(code), scores, predictions="predictions/one.safetensors")
    return write_run(tmp_path, plan_of(seed, name=name), [entry])


def test_own_metrics_have_their_column_and_their_mean(tmp_path: Path) -> None:
    """0.5 and 0.75: mean 0.625, deviation 0.25 / sqrt 2; what other code computes has no mean."""
    runs = [judged_run(tmp_path, seed, value, "a") for seed, value in ((0, 0.5), (1, 0.75))]
    text = report(runs)
    header, *rows = table_rows(text, "Runs")
    assert [dict(zip(header, row, strict=True))["balanced"] for row in rows] == ["0.5000", "0.7500"]
    header, row = table_rows(text, "Means over seeds")
    assert dict(zip(header, row, strict=True))["balanced"] == "0.6250 ± 0.1768"
    assert "of other code" not in text
    assert re.search(
        r"\n- balanced: balanced\(\) of own/metrics.py, SHA-256 [0-9a-f]{64}; one number of all "
        r"images, without an interval\n",
        text,
    )
    runs.append(judged_run(tmp_path, 2, 0.25, "b"))
    text = report(runs)
    assert "balanced" not in table_rows(text, "Means over seeds")[0]
    assert (
        "- balanced is of other code, or of other arguments, in each of tiny (00000000-s0), "
        "tiny (00000002-s2): do not compare them\n"
    ) in text
    page = tmp_path / "report.html"
    write_report(runs, page)
    assert "balanced is of other code" in page.read_text(encoding="utf-8")
    write_report(runs[:2], page)
    assert "balanced: balanced() of own/metrics.py" in page.read_text(encoding="utf-8")


def published_run(tmp_path: Path, warmup: int = 0, **changes: Any) -> Path:
    """AlexNet as published, apart from its epochs and its shifts' normalisation."""
    published: dict[str, Any] = {
        "epochs": 2,
        "dataset": "imagenet",
        "image_size": 224,
        "augmentation": "crop_flip",
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
    }
    plan = plan_of(
        name="AI", batch_size=256, **({"iterations_per_epoch": 4614} | published | changes)
    )
    plan = replace(
        plan,
        optimizer=replace(plan.optimizer, lr=0.01, weight_decay=1e-4),
        schedule=replace(plan.schedule, step_epochs=30, gamma=0.1, warmup_epochs=warmup),
    )
    rates = {str(step): 0.2 for step in range(1, 9)}
    eight = {"max_shift": 8, "max_step": 8, "normalise": False}
    halves = {"max_shift": 8, "pixel_divide": 2}
    scores = [
        record(
            shift_entry("horizontal", "flip_rate", **eight),
            {"flip_rate": rates, "mean_flip_rate": 0.2},
            intervals={"flip_rate": {"1": [0.19, 0.21]}, "mean_flip_rate": [0.18, 0.22]},
        ),
        record(
            shift_entry("diagonal", "kl_divergence", **halves),
            {"kl_divergence": [i / 100 for i in range(17)]},
        ),
        record(ONE_CROP, ERRORS | {"top1_error": 0.5}),
        record(
            {"mode": "corruptions", "root": "C", "normalise": True},
            {"top1_error": {"snow": {"1": 0.7, "2": 0.9}}, "mean_top1_error": 0.8},
        ),
        record(
            {"mode": "perturbations", "root": "P", "normalise": True},
            {"flip_rate": {"tilt": 0.08, "gaussian_noise": 0.5}, "mean_flip_rate": 0.29},
        ),
    ]
    epochs = [epoch(1, 6.0, 0.9), epoch(2, 5.0, 0.85)]
    parameters = {"trainable": 61100840, "frozen": 0}
    return write_run(tmp_path / "runs", plan, scores, epochs, parameters=parameters)


def test_against_the_published_model(tmp_path: Path) -> None:
    """AI's figures as wcnn has them: one crop 0.54708, KL at 1 px 0.037111, tilt 0.070023."""
    run = published_run(tmp_path)
    text = report([run], ReportOptions(published=True))
    rows = table_rows(text, "AI (00000007-s7) and the published AI")
    assert rows[0] == ["", "measured [95 %]", "published", "difference", "poster"]
    cells = {row[0]: row[1:] for row in rows[1:]}
    assert cells["trainable parameters"] == ["61,100,840", "61,100,840", "+0", ""]
    assert cells["training loss after epoch 2"] == ["5.0000", "5.4005", "-0.4005", ""]
    assert cells["top-1 error"] == ["50.00%", "45.29%", "+4.71%", "45.30%"]
    flips = "horizontal, not normalised"
    assert cells[f"flip rate at step 1, {flips}"] == [
        "20.00% [19.00, 21.00]", "14.42%", "+5.58%", "",
    ]  # fmt: skip
    # (0.1442 + 0.178931 + 0.19683 + 0.192488 + 0.21832 + 0.223473 + 0.21868 + 0.194) / 8
    assert cells[f"mean flip rate, {flips}"] == ["20.00% [18.00, 22.00]", "19.59%", "+0.41%", ""]
    assert cells["KL at 1 px, diagonal, normalised"] == ["0.0200", "0.0371", "-0.0171", ""]
    assert cells["KL at 8 px, diagonal, normalised"] == ["0.1600", "0.1037", "+0.0563", ""]
    snow = "top-1 error, snow, mean of severities 1, 2"
    assert cells[snow][:1] == ["80.00%"]
    assert cells["flip rate between frames, tilt"] == ["8.00%", "7.00%", "+1.00%", ""]
    assert not any("gaussian" in name for name in cells)
    assert "matched by the run's name alone" in text
    assert (
        "trained otherwise than published: epochs 2 instead of 90; iterations 9228 instead of 414900"
    ) in text
    assert "were not normalised" in text


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "trained as published"),
        ({"warmup": 5}, "epochs of warm-up 5 instead of 0"),
        ({"augmentation": "none"}, "augmentation none instead of crop_flip"),
        (
            {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)},
            "mean and std of normalisation 0.0/0.0/0.0/1.0/1.0/1.0 instead of 0.485/0.456",
        ),
        ({"image_size": 192}, "image size 192 instead of 224"),
        (
            {"initial_weights": InitialWeightsPlan("a.safetensors", None)},
            "weights to start from a.safetensors instead of none",
        ),
    ],
)
def test_trained_as_published_is_said_of_what_was(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    model = find_published("AI")
    assert model is not None
    per_epoch = model.iterations // model.epochs
    settings = {"epochs": model.epochs, "iterations_per_epoch": per_epoch}
    run = published_run(tmp_path, **(settings | changes))
    text = report([run], ReportOptions(published=True))
    assert told in text
    assert ("trained as published" in text) == (not changes)


def test_published_model_is_known_by_the_model_digest(tmp_path: Path) -> None:
    model = find_published("AI")
    assert model is not None
    run = published_run(tmp_path, model_digest=model.model_digest)
    renamed = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    write(run / "manifest.json", renamed | {"name": "mine"})
    text = report([run], ReportOptions(published=True))
    assert "matched its model is that of AI, by the model digest" in text
    other = write_run(tmp_path, plan_of(name="own", dataset="mnist"))
    text = report([other], ReportOptions(published=True))
    assert "no published model: own (00000007-s7)" in text
    rows = table_rows(text, "Published: Tables 1.3 and 1.4: MNIST")
    assert ["convolutional (mnist_conv)", "2.70%", "0.29%"] in rows


def predictions(run: Path, name: str, table: dict[str, Any]) -> None:
    import torch
    from safetensors.torch import save_file

    (run / "predictions").mkdir(exist_ok=True)
    count = len(next(iter(table.values())))
    table = {"positions": torch.arange(count), "labels": torch.zeros(count).long()} | table
    save_file(table, run / "predictions" / f"{name}.safetensors")


FLIPS = shift_entry("horizontal", "flip_rate")


def shifted_run(
    project: Path, name: str, seed: int, classes: list[list[int]], **changes: Any
) -> Path:
    """A run with one_crop, flip rates and KL of images given by their classes under 3 shifts."""
    import torch

    frames = torch.tensor(classes, dtype=torch.int32).unsqueeze(1)
    rates = {
        step: float((frames[:, 0, :-step] != frames[:, 0, step:]).double().mean())
        for step in (1, 2)
    }
    scores = {"flip_rate": {str(s): r for s, r in rates.items()}}
    scores |= {"mean_flip_rate": sum(rates.values()) / 2}
    kl = shift_entry("horizontal", "kl_divergence")
    means = {"kl_divergence": [0.0, 0.5, 1.0]}
    files = {"predictions": "predictions/one.safetensors"}
    run = write_run(
        project,
        plan_of(seed, name=name),
        [
            record(ONE_CROP, ERRORS, **files | changes),
            record(FLIPS, scores, **files | {"predictions": "predictions/flips.safetensors"}),
            record(kl, means, predictions="predictions/kl.safetensors"),
        ],
    )
    wrong = torch.tensor([c[0] != 0 for c in classes], dtype=torch.uint8)
    one = {"top1_wrong": wrong, "top5_wrong": 0 * wrong, "loss": wrong.float()}
    predictions(run, "one", one | {"classes": frames[:, 0, 0].contiguous()})
    predictions(run, "flips", {"classes": frames})
    predictions(run, "kl", {"kl": frames.float()})
    return run


FIRST = [[0, 1, 1], [0, 0, 0], [0, 1, 0], [1, 0, 0]]
"""Step 1: 1/2, 0, 1, 1/2 of the pairs differ, mean 0.5; step 2: 1, 0, 0, 1, mean 0.5."""
SECOND = [[0, 0, 0], [0, 0, 0], [0, 1, 0], [1, 1, 0]]
"""Step 1: 0, 0, 1, 1/2, mean 0.375; step 2: 0, 0, 0, 1, mean 0.25."""


def test_paired_differences(tmp_path: Path) -> None:
    runs = [shifted_run(tmp_path, "rmax", seed, FIRST) for seed in (0, 1)]
    runs += [shifted_run(tmp_path, "cmod", seed, SECOND) for seed in (0, 1, 2)]
    text = report(runs, ReportOptions(paired=("rmax", "cmod")))
    rows = table_rows(text, "cmod against rmax, paired")
    assert rows[0][2:] == ["rmax", "cmod", "cmod - rmax [95 %]"]
    cells = {(row[0], row[1]): row[2:] for row in rows[1:]}
    where = "shifts, horizontal to 2 px"
    assert cells[where, "flip rate, step 1"][:2] == ["50.00%", "37.50%"]
    assert cells[where, "flip rate, step 2"][:2] == ["50.00%", "25.00%"]
    assert cells[where, "mean flip rate"][:2] == ["50.00%", "31.25%"]
    assert cells[where, "KL at 2 px"][:2] == ["0.2500", "0.0000"]
    assert cells["one crop", "top-1 error"] == ["25.00%", "25.00%", "+0.00% [+0.00, +0.00]"]
    difference = cells[where, "flip rate, step 1"][2]
    found = re.fullmatch(r"(\S+)% \[(\S+), (\S+)\]", difference)
    assert found is not None
    mean, low, high = map(float, found.groups())
    # Of four images one differs, by 1/2: drawn means are -k/8, k of a binomial(4, 1/4).
    assert mean == -12.5
    assert (low, high) == (-37.5, 0.0)
    assert "pairs by seed: 0, 1" in text
    assert "without a partner: cmod (00000002-s2)" in text


def test_own_metrics_of_pairs_have_a_difference_and_no_interval(tmp_path: Path) -> None:
    import torch

    def paired(folder: Path, code: str) -> str:
        """The report of a against b, whose metric is of this code."""
        folder.mkdir()
        runs = [judged_run(folder, seed, value, "c", "a") for seed, value in ((0, 0.5), (1, 0.7))]
        runs += [judged_run(folder, seed, 0.5, code, "b") for seed in (0, 1)]
        wrong = torch.tensor([0, 0, 1, 0], dtype=torch.uint8)
        table = {"top1_wrong": wrong, "top5_wrong": 0 * wrong, "classes": wrong.int()}
        for run in runs:
            predictions(run, "one", table | {"loss": wrong.float()})
        return report(runs, ReportOptions(paired=("a", "b")))

    rows = table_rows(paired(tmp_path / "same", "c"), "b against a, paired")
    assert ["one crop", "balanced", "0.6000", "0.5000", "-0.1000, no interval"] in rows
    text = paired(tmp_path / "other", "d")
    assert all(row[1] != "balanced" for row in table_rows(text, "b against a, paired"))
    assert "- left out: one crop: balanced is of other code, or of other arguments\n" in text


def test_pairs_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    import torch

    first = shifted_run(tmp_path, "rmax", 0, FIRST)
    second = shifted_run(tmp_path, "cmod", 0, SECOND)
    paired = ReportOptions(paired=("rmax", "cmod"))
    with pytest.raises(RunError, match=r"no runs of 'rmax' and 'x' have a seed in common"):
        report([first, second], ReportOptions(paired=("rmax", "x")))
    again = write_run(tmp_path, plan_of(0, name="cmod"), suffix="-2")
    with pytest.raises(RunError, match="which one is to be paired"):
        report([first, second, again], paired)
    best = shifted_run(tmp_path / "best", "cmod", 0, SECOND, checkpoint="best")
    with pytest.raises(RunError, match="one evaluation is 'whole', the other 'best weights'"):
        report([first, best], paired)
    elsewhere = shifted_run(tmp_path / "b", "cmod", 0, SECOND, data="d2" * 32)
    with pytest.raises(RunError, match="their data are not the same"):
        report([first, elsewhere], paired)
    moved = {"positions": torch.tensor([0, 1, 2, 4]), "kl": torch.zeros(4, 1, 3)}
    predictions(second, "kl", moved)
    with pytest.raises(RunError, match="evaluated on other images"):
        report([first, second], paired)
    (second / "predictions/kl.safetensors").write_bytes(b"damaged")
    with pytest.raises(RunError, match=r"kl\.safetensors cannot be read"):
        report([first, second], paired)
    bare = write_run(tmp_path, plan_of(5, name="cmod"), [record(ONE_CROP, ERRORS)])
    left = write_run(tmp_path, plan_of(5, name="rmax"), [record(ONE_CROP, ERRORS)])
    with pytest.raises(RunError, match="no entry of the evaluation suite in common"):
        report([left, bare], paired)


def test_mean_flip_rate_against_a_baseline_run(tmp_path: Path) -> None:
    base = shifted_run(tmp_path, "rmax", 0, FIRST)
    run = shifted_run(tmp_path, "cmod", 0, SECOND)
    header, row = table_rows(report([run], ReportOptions(baseline=str(base))), "Runs")
    cells = dict(zip(header, row, strict=True))
    name = "mFR against rmax (00000000-s0), horizontal, steps 1 to 2, shifts to 2 px"
    # 100 * (0.375 + 0.25) / (0.5 + 0.5); no interval: a draw of four images may have no flip.
    assert cells[name] == "62.5%"
    many = [
        shifted_run(tmp_path / "many", name, 0, 50 * classes)
        for name, classes in (("rmax", FIRST), ("cmod", SECOND))
    ]
    _, row = table_rows(report(many[1:], ReportOptions(baseline=str(many[0]))), "Runs")
    found = re.search(r"62\.5% \[(\S+), (\S+)\]", " ".join(row))
    assert found is not None
    assert 50 < float(found[1]) < 62.5 < float(found[2]) < 75
    elsewhere = shifted_run(tmp_path / "b", "cmod", 0, SECOND)
    scores = json.loads((elsewhere / "scores.json").read_text(encoding="utf-8"))
    scores["scores"][1]["data"] = "d2" * 32
    write(elsewhere / "scores.json", scores)
    with pytest.raises(RunError, match="evaluated on other data"):
        report([run], ReportOptions(baseline=str(elsewhere)))


def test_mean_flip_rate_against_a_published_baseline(tmp_path: Path) -> None:
    rates = {"1": 0.05, "2": 0.25}
    entry = shift_entry("vertical", "flip_rate")
    eight = shift_entry("vertical", "flip_rate", max_shift=8, normalise=False, resize="pil")
    scores = {"flip_rate": rates, "mean_flip_rate": 0.15}
    both = [record(entry, scores), record(eight, scores, checkpoint="best")]
    run = write_run(tmp_path, plan_of(dataset="imagenet"), both)
    header, row = table_rows(report([run], ReportOptions(baseline="published:AI")), "Runs")
    cells = dict(zip(header, row, strict=True))
    # 100 * 0.3 / (0.145105 + 0.179634)
    name = "mFR against published AI, vertical, steps 1 to 2, shifts to "
    assert (
        cells[f"{name}2 px (published: shifts to 8 px, not normalised, resized in 8 bits)"]
        == "92.4%"
    )
    assert cells[f"{name}8 px, not normalised, resized in 8 bits, best weights"] == "92.4%"
    with pytest.raises(RunError, match="no published model is called 'XX'"):
        report([run], ReportOptions(baseline="published:XX"))
    digits = write_run(tmp_path, plan_of(9), [record(entry, scores)])
    with pytest.raises(RunError, match="is of digits, and the published AI of imagenet"):
        report([digits], ReportOptions(baseline="published:AI"))
    bare = write_run(tmp_path, plan_of(8, dataset="imagenet"), [record(ONE_CROP, ERRORS)])
    with pytest.raises(RunError, match="no flip rates in common"):
        report([bare], ReportOptions(baseline="published:AI"))


def test_command_takes_every_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = shifted_run(tmp_path, "rmax", 0, FIRST)
    second = shifted_run(tmp_path, "cmod", 0, SECOND)
    monkeypatch.chdir(tmp_path)
    options = ["--baseline", str(first), "--paired", "rmax", "cmod", "--published", "-o", "a.html"]
    assert cli.main(["report", str(first), str(second), *options]) == 0
    text = capsys.readouterr().out
    wanted = ReportOptions(published=True, baseline=str(first), paired=("rmax", "cmod"))
    assert text == report([first, second], wanted) + "\nreport: a.html\n"
    assert "mFR against rmax" in text
    assert "cmod against rmax, paired" in text
    assert "Against the published figures" in text
    assert cli.main(["report", str(tmp_path)]) == 2
    assert "is not a run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "document", "label"),
    [
        ("manifest.json", [], r"manifest\.json is damaged: the document: an object is needed"),
        ("manifest.json", {"wavetwin_run": 1}, r"manifest\.json is damaged: name is missing"),
        ("plan.json", [], r"plan\.json is damaged: the document: an object is needed"),
        ("plan.json", {"wavetwin_plan": 2}, r"plan\.json is damaged: epochs is missing"),
        ("build.json", [], r"build\.json is damaged: the document: an object is needed"),
        (
            "graph.json",
            {"wavetwin_graph": 1, "name": "m", "nodes": [], "passes": []},
            "its first node is no image",
        ),
        ("scores.json", {"wavetwin_scores": 1, "scores": [{}]}, r"scores\[0\]\.entry is missing"),
        ("scores.json", {"wavetwin_scores": 1, "scores": [3]}, r"scores\[0\]: an object is needed"),
    ],
)
def test_damaged_documents(tmp_path: Path, file: str, document: object, label: str) -> None:
    run = write_run(tmp_path, plan_of())
    (run / file).write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(RunError, match=label):
        write_report([run], tmp_path / "report.html")


def test_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is not a run: it has no manifest\.json"):
        report([tmp_path])
    run = write_run(tmp_path, plan_of(), wavetwin_run=9)
    with pytest.raises(RunError, match="is not a run of this version"):
        report([run])
    (write_run(tmp_path, plan_of(8)) / "plan.json").unlink()
    with pytest.raises(RunError, match=r"has no plan\.json"):
        report([run.parent / "00000008-s8"])
    damaged = write_run(tmp_path, plan_of(9))
    (damaged / "metrics.jsonl").write_text('{"kind": \n', encoding="utf-8")
    with pytest.raises(RunError, match=r"metrics\.jsonl is damaged: line"):
        report([damaged])
    (damaged / "metrics.jsonl").write_text("[1]\n", encoding="utf-8")
    with pytest.raises(RunError, match=r"metrics\.jsonl is damaged: line"):
        report([damaged])
    good = write_run(tmp_path, plan_of(10))
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be written"):
        write_report([good], tmp_path / "file/report.html")
