"""The HTML report: what it shows of each run, against the files that it is of."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from markupsafe import Markup
from safetensors.torch import save_file

import wavetwin
from tests.support.html_pages import Page
from tests.support.paths import ROOT
from tests.support.plans import make_plan
from tests.support.run_files import ONE_CROP, epoch, record, shift_entry, write, write_run
from tests.support.shipped import compiled_once
from wavetwin.commands import cli
from wavetwin.commands.report import draw_packets
from wavetwin.compiler.compiled import Compiled
from wavetwin.explain.report import CompilerParts, ReportOptions, write_report
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.process.errors import RunError

ERRORS = {"loss": 0.5, "top1_error": 0.25, "top5_error": 0.0625}
FLIPS = shift_entry("horizontal", "flip_rate")
KL = shift_entry("both", "kl_divergence", pixel_divide=2, normalise=False)
SCORES = "Scores with 95 % intervals over images"
COSTS = "Cost of the models"


def difference(first: Path, second: Path) -> Markup:
    return Markup("<p>from {} to {}</p>").format(first.name, second.name)


PARTS = CompilerParts(difference, draw_packets)


def plan_of(seed: int = 7, **changes: Any) -> TrainingPlan:
    digest = f"{seed:08x}" + "0" * 56
    return make_plan(seed=seed, training_digest=digest, digest=digest, **changes)


def page_of(runs: list[Path], folder: Path, options: ReportOptions | None = None) -> Page:
    """The page of some runs, well-formed and self-contained."""
    file = folder / "page/report.html"
    write_report(runs, file, options, PARTS)
    page = Page(file.read_text(encoding="utf-8"))
    page.check()
    return page


def scored(**changes: Any) -> list[dict[str, Any]]:
    """Scores of one crop, flip rates and divergences, with intervals."""
    return [
        record(ONE_CROP, ERRORS, intervals={"top1_error": [0.2, 0.3], "top5_error": [0.0, 0.1]}),
        record(
            FLIPS,
            {"flip_rate": {"1": 0.125, "2": 0.25}, "mean_flip_rate": 0.1875},
            intervals={"flip_rate": {"1": [0.1, 0.15], "2": [0.2, 0.3]}} | changes,
        ),
        record(
            KL,
            {"kl_divergence": [[0.0, 0.1], [0.3, 0.75]]},
            intervals={"kl_divergence": [[[0.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.5, 1.0]]]},
        ),
    ]


@pytest.fixture(scope="module")
def twin() -> Compiled:
    return compiled_once(ROOT / "specs/digits/twin_mod.yaml")


def trained(folder: Path, compiled: Compiled, **changes: Any) -> tuple[Path, dict[str, Any]]:
    """A run of a shipped spec with weights, and its state dict."""
    run = write_run(
        folder,
        compiled.plan,
        scored(),
        [epoch(1, 1.5, 0.4), epoch(2, 1.0, 0.3)],
        spec="name: twin_mod\n",
        digest=compiled.digest,
        model_digest=compiled.model_digest,
        **changes,
    )
    write(run / "graph.json", compiled.graph.to_json())
    state = wavetwin.build_model(compiled).state_dict()
    (run / "checkpoints/last").mkdir(parents=True)
    save_file(state, run / "checkpoints/last/model.safetensors")
    return run, state


def test_page_of_a_run_has_its_scores_and_shifts(tmp_path: Path) -> None:
    run = write_run(tmp_path, plan_of(), scored(), [epoch(1, 1.5, 0.4), epoch(2, 1.0, 0.3)])
    page = page_of([run], tmp_path)
    label = "tiny (00000007-s7)"
    cells = page.cells(SCORES)
    assert cells["top-1 error", label] == "25.00% [20.00, 30.00]"
    assert cells["parameters", label] == "1,594"
    shifts = page.cells("Flip rate, horizontal to 2 px, with 95 % intervals")
    assert shifts["1", label] == "12.50% [10.00, 15.00]"
    assert shifts["2", label] == "25.00% [20.00, 30.00]"
    # Of moves in both directions the diagonal, half a pixel a place.
    parts = "KL divergence, both to 2 px by 1/2 px, not normalised, with 95 % intervals"
    divergences = page.cells(parts)
    assert divergences["0.5", label] == "0.7500 [0.5000, 1.0000]"
    curves = page.cells(
        "Last and best epoch of each run; the best has the lowest validation top-1 error"
    )
    assert curves[label, "validation error"] == "30.00%"
    assert "No first layer is shown: the run has no graph.json." in page.text
    assert "What differs" not in page.headings
    assert page.headings[0] == "Runs of tiny"


def test_lines_go_through_the_scores(tmp_path: Path) -> None:
    """Two flip rates: (1, 0.125) and (2, 0.25) on axes from 0 to 2 px and 0 to 30 %, the first with ends at 10 and 15 %."""
    run = write_run(tmp_path, plan_of(), scored()[1:2])
    write_report([run], tmp_path / "report.html", None, PARTS)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    (line,) = re.findall(r'<polyline [^>]*points="([^"]+)"', text)
    (x1, y1), (x2, y2) = (map(float, point.split(",")) for point in line.split())
    ticks = {
        name: float(y)
        for y, name in re.findall(r'<text x="[\d.]+" y="([\d.]+)"[^>]*>(\d+ %)</text>', text)
    }
    assert list(ticks) == ["0 %", "10 %", "20 %", "30 %"]
    # Words stand 4 units below their tick.
    zero, unit = ticks["0 %"] - 4, ticks["0 %"] - ticks["10 %"]
    assert y1 == pytest.approx(zero - 1.25 * unit, abs=0.11)
    assert y2 == pytest.approx(zero - 2.5 * unit, abs=0.11)
    (low, high), _ = re.findall(r"M[\d.]+ ([\d.]+)V([\d.]+)M", text)
    assert float(low) == pytest.approx(zero - unit, abs=0.11)
    assert float(high) == pytest.approx(zero - 1.5 * unit, abs=0.11)
    positions = dict(re.findall(r'<text x="([\d.]+)"[^>]*>(\d)</text>', text))
    assert {positions[f"{x:.1f}"] for x in (x1, x2)} == {"1", "2"}


def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    name = "<img src=http://x onerror=alert(1)>&\"'`"
    runs = [
        write_run(tmp_path, plan_of(1, name=name.replace("/", "")), scored(), [epoch(1, 1.0, 0.5)]),
        write_run(tmp_path, plan_of(2), scored(), [epoch(1, 1.0, 0.5)], spec="</pre><script>"),
    ]
    page = page_of(runs, tmp_path)
    assert "img" not in page.tags
    assert page.text.count("<img src=http:x onerror=alert(1)>&\"'`") > 5
    assert "</pre><script>" in page.text
    assert page.headings[0] == "Runs of <img src=http:x onerror=alert(1)>&\"'`, tiny"


def test_page_is_the_same_each_time_and_names_no_folder(tmp_path: Path, twin: Compiled) -> None:
    run, _ = trained(tmp_path / "runs", twin)
    texts = []
    for name in ("a", "b"):
        write_report([run], tmp_path / f"{name}.html", None, PARTS)
        texts.append((tmp_path / f"{name}.html").read_bytes())
    assert texts[0] == texts[1]
    assert str(tmp_path).encode() not in texts[0]


def test_first_layer_of_a_twin(tmp_path: Path, twin: Compiled) -> None:
    """A picture a channel, and each packet by the modulus of the weights that the mixing has."""
    run, state = trained(tmp_path / "runs", twin)
    page = page_of([run], tmp_path)
    assert sum(link.startswith("data:image/png;base64,") for link in page.links) == 24
    assert [heading for heading in page.headings if "channels" in heading] == [
        "Free channels",
        "Wavelet channels, band 1",
        "Wavelet channels, band 2",
    ]
    text = (tmp_path / "page/report.html").read_text(encoding="utf-8")
    assert "half a cycle" not in text
    axes = re.findall(r">([^<>]*frequency[^<>]*)</text>", text)
    assert len(axes) == 4  # of the packets and of the channels' centres
    assert all("radians a pixel" in each for each in axes)
    titles = dict(re.findall(r"<title>packet (\d+), band [12]: ([\d.e-]+)</title>", text))
    kept = {node.op: node for node in twin.graph}["keep_packets"].attributes["packets"]
    assert isinstance(kept, tuple)
    weights = torch.cat([state[f"stem.wavelet.mixing.{band}.weight"].flatten() for band in (0, 1)])
    # As many groups as packets: one weight each.
    assert {int(number): float(weight) for number, weight in titles.items()} == {
        number: pytest.approx(abs(weight), rel=5e-3)
        for number, weight in zip(kept, weights.tolist(), strict=True)
    }


def test_packets_that_several_channels_share(tmp_path: Path) -> None:
    spec = ROOT / "specs/digits/twin.yaml"
    keep = "[{band: 1, channels: 4, groups: 2}, {band: 2, channels: 12, groups: 2}]"
    compiled = wavetwin.compile(spec, [f"stem.wavelet.keep={keep}"])
    run, state = trained(tmp_path / "runs", compiled)
    page_of([run], tmp_path)
    text = (tmp_path / "page/report.html").read_text(encoding="utf-8")
    titles = dict(re.findall(r"<title>packet (\d+), band 1: ([\d.e-]+)</title>", text))
    first = state["stem.wavelet.mixing.0.weight"]
    assert first.shape[:2] == (4, 3)
    # Outputs 0 and 1 mix the first three packets, 2 and 3 the others.
    expected = [
        float(first[group : group + 2, i].abs().sum()) for group in (0, 2) for i in range(3)
    ]
    kept = {node.op: node for node in compiled.graph}["keep_packets"].attributes["packets"]
    assert isinstance(kept, tuple)
    assert [float(titles[str(number)]) for number in kept[:6]] == pytest.approx(expected, rel=5e-3)


def test_a_run_without_weights_says_so(tmp_path: Path, twin: Compiled) -> None:
    run, _ = trained(tmp_path / "runs", twin)
    weights = run / "checkpoints/last/model.safetensors"
    weights.write_bytes(b"damaged")
    with pytest.raises(RunError, match=r"model\.safetensors cannot be read"):
        page_of([run], tmp_path)
    weights.unlink()
    weights.parent.rmdir()
    page = page_of([run], tmp_path)
    assert "No first layer is shown: the run has no weights yet" in page.text
    (run / "graph.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RunError, match=r"graph\.json is damaged"):
        page_of([run], tmp_path)


def test_costs_are_those_of_the_graph(tmp_path: Path, twin: Compiled) -> None:
    times = [epoch(number, 1.0, None) for number in (1, 2, 3)]
    for line, seconds in zip(times, (4.0, 6.0, 7.5), strict=True):
        line["time"]["seconds"] = seconds
    run, _ = trained(tmp_path / "runs", twin)
    lines = "".join(json.dumps(line) + "\n" for line in times)
    (run / "metrics.jsonl").write_text(lines, encoding="utf-8")
    page = page_of([run], tmp_path)
    cells = {name: cell for (name, _), cell in page.cells(COSTS).items()}
    graph, optimised = twin.graph, twin.optimised_graph
    assert cells["MACs an image, as written"] == f"{graph.macs:,}"
    assert cells["MACs an image, after the passes"] == f"{optimised.macs:,}"
    assert optimised.macs < graph.macs
    assert cells["activations an image, as written"] == f"{graph.activation_bytes / 2**20:.2f} MiB"
    assert cells["element-wise operations an image"] == f"{graph.elementwise:,}"
    # 4, 2 and 1.5 seconds.
    assert cells["seconds an epoch, median"] == "2.00"
    assert cells["training time, seconds"] == "75.40"


def test_everything_to_reproduce_is_there(tmp_path: Path, twin: Compiled) -> None:
    run, _ = trained(tmp_path / "runs", twin, dirty=True)
    build = {
        "spec": "specs/digits/my twin.yaml",
        "overrides": ["training.epochs=2"],
        "versions": {"torch": "2.0"},
    }
    write(run / "build.json", build)
    page = page_of([run], tmp_path)
    digest = twin.digest
    for parts in (
        digest,
        twin.model_digest,
        twin.training_digest,
        "c" * 40,
        "torch 2.0",
        "e" * 64,
        "d1" * 32,
        "git worktree add ../at-cccccccc " + "c" * 40,
        "git apply --index inputs.patch",
        "wavetwin build --allow-dirty --set training.epochs=2 'specs/digits/my twin.yaml'",
        f"python generated/twin_mod@epochs=2-{digest[:8]}/train.py --device cpu",
        f"python generated/twin_mod@epochs=2-{digest[:8]}/evaluate.py",
        "name: twin_mod",
        "built from uncommitted changes",
    ):
        assert parts in page.text, parts
    assert "details" in page.tags


@pytest.mark.parametrize(
    ("changes", "build", "flags"),
    [
        ({}, {"passes": ["drop identities"]}, ""),
        ({}, {"passes": []}, " --no-passes"),
        ({"commit": None}, {"passes": []}, " --no-git --no-passes"),
        ({"commit": None, "dirty": True}, {}, " --no-git"),
    ],
)
def test_the_build_is_told_what_it_was_told(
    tmp_path: Path, changes: dict[str, object], build: dict[str, object], flags: str
) -> None:
    run = write_run(tmp_path, plan_of(3), scored(), **changes)
    write(run / "build.json", {"spec": "a.yaml", **build})
    assert f"wavetwin build{flags} a.yaml" in page_of([run], tmp_path).text


def test_evaluations_keep_where_they_took_place(tmp_path: Path) -> None:
    options = ["--device", "cuda:1", "--data-root", "/data sets"]
    run = write_run(tmp_path, plan_of(3), [record(ONE_CROP, ERRORS, options=options)])
    write(run / "build.json", {"spec": "a.yaml"})
    assert "evaluate.py --device cuda:1 --data-root '/data sets'" in page_of([run], tmp_path).text


def launched(
    folder: Path,
    machines: list[dict[str, Any]],
    parts: tuple[str, ...] = (),
    launch: dict[str, Any] | None = None,
) -> list[str]:
    """The commands that repeat a run whose sessions ran on these machines, after the build's."""
    run = write_run(folder, plan_of(3), [record(ONE_CROP, ERRORS, launch=launch)])
    document = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    (session,) = document["lives"]
    command = ["train.py", *parts]
    document["lives"] = [session | {"command": command, "machine": machine} for machine in machines]
    write(run / "manifest.json", document)
    write(run / "build.json", {"spec": "a.yaml"})
    text = page_of([run], folder).text
    block = text[text.index("wavetwin build a.yaml") :].split("\n")
    return [line for line in block[1:] if "generated/tiny" in line or line.startswith("#")]


ALONE = {"processes": 1, "nodes": 1, "processes_per_node": 1, "launcher": None}
TWO = {"processes": 2, "nodes": 1, "processes_per_node": 2, "launcher": "torchrun"}
EIGHT = {"processes": 8, "nodes": 2, "processes_per_node": 4, "launcher": "torchrun"}
SCRIPTS = "generated/tiny/train.py", "generated/tiny/evaluate.py"
FIRST = '"$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1):29500"'
MEETING = "torchrun --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d --rdzv-id again"


@pytest.mark.parametrize(
    ("machine", "training"),
    [
        ({}, ["python {} --device cpu"]),
        (ALONE, ["python {} --device cpu"]),
        (TWO, ["torchrun --nproc-per-node 2 {} --device cpu"]),
        (
            {"processes": 2},
            [
                "# 2 processes; their division over nodes is not recorded, and changes nothing",
                "torchrun --nproc-per-node 2 {} --device cpu",
            ],
        ),
        ({"processes": "2; rm -r /"}, ["python {} --device cpu"]),
        (
            EIGHT,
            [
                "# on each of 2 nodes, with FIRST_NODE set to the name of the first one",
                f'{MEETING} --rdzv-endpoint "$FIRST_NODE:29500" {{}} --device cpu',
            ],
        ),
        (
            EIGHT | {"launcher": "srun"},
            [
                "# inside a job of Slurm that has 2 nodes",
                "srun --nodes 2 --ntasks 2 --ntasks-per-node 1 "
                f"{MEETING} --rdzv-endpoint {FIRST} {{}} --device cpu",
            ],
        ),
    ],
)
def test_the_launcher_is_repeated(
    tmp_path: Path, machine: dict[str, Any], training: list[str]
) -> None:
    parts = ("--device", "cpu", "--runs", "/elsewhere/runs")
    lines = launched(tmp_path, [machine], parts)
    expected = [line.format(SCRIPTS[0]) for line in training]
    assert lines == [*expected, f"python {SCRIPTS[1]}"]


def test_an_evaluation_is_repeated_with_its_own_launcher(tmp_path: Path) -> None:
    lines = launched(tmp_path, [ALONE], launch=TWO)
    assert lines == [f"python {SCRIPTS[0]}", f"torchrun --nproc-per-node 2 {SCRIPTS[1]}"]


def test_a_job_of_slurm_is_submitted_again(tmp_path: Path) -> None:
    """It evaluates by itself; an evaluation from elsewhere comes after it."""
    by_script = EIGHT | {"launcher": "slurm.sh", "device": "cuda"}
    parts = ("--runs=/shared/runs", "--workers", "3")
    submit = (
        "SBATCH_OPTIONS='--nodes=2 --gpus-per-node=4' PROCESSES_PER_NODE=4 "
        "bash generated/tiny/slurm.sh --workers 3"
    )
    assert launched(tmp_path / "own", [by_script], parts, launch=by_script) == [submit]
    assert launched(tmp_path / "other", [by_script], parts) == [
        submit,
        "# when the job has ended:",
        f"python {SCRIPTS[1]}",
    ]


def test_sessions_of_another_number_of_processes_are_said(tmp_path: Path) -> None:
    note, training, _ = launched(tmp_path, [TWO, ALONE])
    assert note.startswith("# sessions had 2, then 1 processes:")
    assert training == f"torchrun --nproc-per-node 2 {SCRIPTS[0]}"


def test_the_list_of_runs_repeats_the_launcher(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launched(tmp_path / "runs", [TWO])
    (run,) = tmp_path.glob("runs/tiny/*")
    assert cli.main(["runs", "show", str(run), "--runs", str(tmp_path / "runs")]) == 0
    assert f"torchrun --nproc-per-node 2 {SCRIPTS[0]}\n" in capsys.readouterr().out


def test_published_curves_and_scores_stand_beside(tmp_path: Path) -> None:
    """AI's, as wcnn has them, found by the model digest: 90 epochs, flip rates of 8 steps."""
    from wavetwin.published import find_published

    model = find_published("AI")
    assert model is not None
    plan = plan_of(name="mine", dataset="imagenet", model_digest=model.model_digest)
    run = write_run(tmp_path, plan, scored(), [epoch(1, 6.0, 0.9), epoch(2, 5.0, 0.8)])
    page = page_of([run], tmp_path)
    text = (tmp_path / "page/report.html").read_text(encoding="utf-8")
    dashed = re.findall(r'stroke-dasharray="5 3" points="([^"]+)"', text)
    # Training loss, validation error, flip rate, divergence at each half pixel from 0 to 8.
    assert [len(points.split()) for points in dashed] == [90, 90, 8]
    cells = page.cells("mine (00000007-s7) and the published AI")
    assert cells["top-1 error", "measured [95 %]"] == "25.00% [20.00, 30.00]"
    assert cells["top-1 error", "published"] == "45.29%"
    assert "no intervals were published" in page.text
    tables = page_of([run], tmp_path, ReportOptions(published=True)).tables
    assert len(tables) > len(page.tables)
    bare = page_of([write_run(tmp_path, plan_of(8), scored())], tmp_path)
    assert "Against the published figures" not in bare.headings


def test_pages_of_five_runs_and_of_none_trained(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path, plan_of(seed, name=f"m{seed}"), scored(), [epoch(1, 1.0, 0.5)])
        for seed in range(8)
    ]
    page = page_of(runs[:5], tmp_path)
    assert page.headings[0] == "5 runs of 5 experiments"
    assert len(page.cells(SCORES)) == 5 * len(page.tables[SCORES][1:])
    assert page.text.count("has no spec.lock.yaml") == 8
    eight = page_of(runs, tmp_path)
    assert len(eight.tables[f"{SCORES}, runs 1 to 6"][0]) == 7
    assert len(eight.tables[f"{SCORES}, runs 7 to 8"][0]) == 3
    empty = page_of([write_run(tmp_path, plan_of(9))], tmp_path)
    assert "No run has finished an epoch" in empty.text
    assert "Shifts" not in empty.headings


def test_differences_are_of_experiments_not_of_runs(tmp_path: Path, twin: Compiled) -> None:
    first, _ = trained(tmp_path / "runs", twin)
    again, _ = trained(tmp_path / "runs", twin, suffix="-2")
    other, _ = trained(tmp_path / "runs", compiled_once(ROOT / "specs/digits/twin.yaml"))
    seeded = compiled_once(ROOT / "specs/digits/twin.yaml", *["training.seed=3"])
    seed, _ = trained(tmp_path / "runs", seeded)
    page = page_of([first, again, other, seed], tmp_path)
    assert f"from {first.name} to {other.name}" in page.text
    assert page.text.count("from ") == 1
    assert f"the same experiment as twin_mod ({first.name})\n" in page.text
    assert f"the same experiment as twin ({other.name}), but for the seed, 3\n" in page.text


def test_page_of_built_specs_tells_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of runs as training leaves them: the field that twin_mod sets, and where."""
    specs = [str(ROOT / f"specs/digits/{name}.yaml") for name in ("twin", "twin_mod")]
    out = tmp_path / "generated"
    assert cli.main(["build", "--allow-dirty", "--out", str(out), *specs]) == 0
    runs: list[Path] = []
    for spec in specs:
        compiled = wavetwin.compile(Path(spec))
        runs.append(write_run(tmp_path, compiled.plan, scored(), digest=compiled.digest))
        for name in ("spec.lock.yaml", "graph.json", "plan.json"):
            (runs[-1] / name).write_bytes((out / compiled.name / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    assert cli.main(["report", *map(str, runs), "-o", "a.html"]) == 0
    page = Page((tmp_path / "a.html").read_text(encoding="utf-8"))
    page.check()
    assert "Declaration" in page.headings
    assert "pooling.wavelet" in page.text
    assert "modulus" in page.text
    (runs[1] / "spec.lock.yaml").write_text("wavetwin: 1\nnme: x\n", encoding="utf-8")
    assert cli.main(["report", *map(str, runs), "-o", "b.html"]) == 0
    assert "The difference cannot be computed: " in (tmp_path / "b.html").read_text(
        encoding="utf-8"
    )
    assert "unknown-field" in (tmp_path / "b.html").read_text(encoding="utf-8")


def test_book_of_weights_without_a_run(tmp_path: Path) -> None:
    """A book of `wavetwin evaluate` stands beside a run, with what it knows."""
    info = {
        "model_digest": "f" * 64,
        "spec": "specs/alexnet/AI.yaml",
        "overrides": [],
        "weights_file": "alexnet.pth",
        "checkpoint": None,
        "epochs": None,
        "package_digest": "9" * 64,
    }
    scores_file = tmp_path / "alexnet.pth.scores.json"
    write(scores_file, {"wavetwin_scores": 1, "scores": [each | info for each in scored()]})
    run = write_run(tmp_path, plan_of(), scored(), [epoch(1, 1.0, 0.5)])
    page = page_of([run, scores_file], tmp_path)
    label = "alexnet (weights without a run)"
    cells = page.cells(SCORES)
    assert cells["top-1 error", label] == cells["top-1 error", "tiny (00000007-s7)"]
    assert cells["parameters", label] == "\N{EN DASH}"
    assert "wavetwin evaluate alexnet.pth --spec specs/alexnet/AI.yaml" in page.text
    assert "the scores are of weights that are not in a run" in page.text
    assert "no epochs: alexnet" in page.text
    with pytest.raises(RunError, match=r"which data alexnet .* is not known"):
        page_of([scores_file], tmp_path, ReportOptions(baseline="published:AI"))
    mixed = [scored()[0] | info, scored()[1] | info | {"weights": "1" * 64}]
    write(scores_file, {"wavetwin_scores": 1, "scores": mixed})
    with pytest.raises(RunError, match="has scores of several weights"):
        page_of([scores_file], tmp_path)
    with pytest.raises(RunError, match="has no scores of weights without a run"):
        page_of([run / "scores.json"], tmp_path)
    with pytest.raises(RunError, match="is not a run: it has no manifest"):
        page_of([tmp_path / "missing.json"], tmp_path)


def test_command_writes_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path, plan_of(), scored(), [epoch(1, 1.0, 0.5)])
    monkeypatch.chdir(tmp_path)
    assert cli.main(["report", str(run)]) == 0
    assert capsys.readouterr().out.endswith("\nreport: report.html\n")
    Page((tmp_path / "report.html").read_text(encoding="utf-8")).check()
    assert cli.main(["report", str(run), "-o", "only.md"]) == 0
    assert sorted(path.name for path in tmp_path.glob("*.*")) == [
        "only.md",
        "report.html",
    ]
