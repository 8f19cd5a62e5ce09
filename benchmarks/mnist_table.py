"""Reproduce table 1.4 of "A Learnable ScatterNet" on MNIST: invariant layers, five mixings, and convolutions.

Eight networks and the seeds 0, 1, 2; every training is a run of `wavetwin run`, as a user would type
it, two at a time with a thread each. A run that is finished is not repeated and one that was stopped
goes on, so that the same command takes up an interrupted study. It prints test accuracy after the last
and after the best epoch beside the published figures. docs/scatternet-study.md has the result.

`--tenth` trains with a tenth of the images, to see in minutes what hours would show; its runs lie apart.
`--rows mnist_inv mnist_conv --seeds 0 1 2 3 4 5 6 7 8 9 --last` is table 1.3: ten seeds of the best settings.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
WAVETWIN = Path(sys.executable).with_name("wavetwin")
FOLDER = ROOT / "specs/scatternet/mnist"
TABLE = "Tables 1.3 and 1.4: MNIST"
RUNS = ROOT / "runs"


@dataclass(frozen=True, slots=True)
class Images:
    """What is trained with, and where the runs lie that are."""

    root: Path
    """The data root."""
    runs: Path
    options: tuple[str, ...]
    """Of train.py and evaluate.py."""

    @property
    def study(self) -> Path:
        """The folder of the table."""
        return self.runs / "mnist-table"


def prepare_images(folder: Path, is_tenth: bool) -> Images:
    """Write MNIST, or a tenth of it, below a folder."""
    if is_tenth:
        subprocess.run(
            [sys.executable, str(ROOT / "benchmarks/mnist_tenth.py"), folder], check=True
        )
        root = folder / "tenth"
        options = ("--data-root", str(root), "--allow-other-data")
        return Images(root, RUNS / "mnist-tenth", options)
    prepare = [str(WAVETWIN), "data", "prepare", "mnist", "--data-root", str(folder)]
    subprocess.run(prepare, cwd=ROOT, check=True)
    return Images(folder, RUNS, ("--data-root", str(folder)))


@dataclass(frozen=True, slots=True)
class Trial:
    """One spec with one seed."""

    name: str
    seed: int

    @property
    def override(self) -> str:
        """What is set beside the spec."""
        return f"training.seed={self.seed}"

    @property
    def spec(self) -> Path:
        """The spec's file."""
        return FOLDER / f"{self.name}.yaml"

    def run_folder(self, runs: Path) -> Path:
        """The run of the spec and the seed as they are now."""
        import wavetwin
        from wavetwin.runtime.training.run_names import run_stem

        compiled = wavetwin.compile(self.spec, [self.override])
        return runs / f"{compiled.name}/{run_stem(compiled.plan, None)}"


def published() -> dict[str, tuple[float, float]]:
    """Return mean and standard deviation of the published accuracies by the spec's name, in percent."""
    from wavetwin.published import published_tables

    (table,) = (table for table in published_tables() if table.title == TABLE)
    found: dict[str, tuple[float, float]] = {}
    for _, name, (error, deviation) in table.rows:
        assert name is not None
        assert error is not None
        assert deviation is not None
        found[name] = (100 - 100 * error, 100 * deviation)
    return found


def train(trials: Sequence[Trial], images: Images, jobs: int) -> None:
    """Train and evaluate all trials, so many at a time, never two of one spec.

    A spec has one folder of scripts: the seeds take turns in it.
    """
    waiting = list(trials)
    going: dict[Trial, subprocess.Popen[bytes]] = {}
    logs = images.study / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    failed: list[Path] = []
    while waiting or going:
        free = [each for each in waiting if each.name not in {trial.name for trial in going}]
        if free and len(going) < jobs and not failed:
            trial = free[0]
            waiting.remove(trial)
            spec = str(trial.spec.relative_to(ROOT))
            more = [*images.options, "--runs", str(images.runs)]
            arguments = ["run", spec, "--set", trial.override, "--", *more]
            print(f"$ wavetwin {' '.join(arguments)}", flush=True)
            with (logs / f"{trial.name}-s{trial.seed}.txt").open("ab") as log:
                going[trial] = subprocess.Popen(
                    [str(WAVETWIN), *arguments], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
                )
            continue
        for trial, process in list(going.items()):
            if process.poll() is not None:
                del going[trial]
                if process.returncode:
                    failed.append(logs / f"{trial.name}-s{trial.seed}.txt")
        if failed and not going:
            break
        time.sleep(0.5)
    if failed:
        sys.exit(f"failed: {', '.join(map(str, failed))} say why; the same command goes on")


def accuracies(trial: Trial, images: Images, last: bool) -> list[float]:
    """Return the test accuracy after each epoch, or the last one, in percent; scored once, then read."""
    import torch

    import wavetwin
    from wavetwin.runtime.data import load_data
    from wavetwin.runtime.evaluation.entries import evaluate_entry
    from wavetwin.runtime.training.checkpoint import load_weights

    run = trial.run_folder(images.runs)
    snapshots = sorted((run / "checkpoints").glob("epoch-*.safetensors"))[-1 if last else 0 :]
    kept = images.study / f"{'last' if last else 'epochs'}-{trial.name}-{run.name}.json"
    if kept.is_file():
        found: list[float] = json.loads(kept.read_text(encoding="utf-8"))
        if len(found) == len(snapshots):
            return found
    # As the trainings: on cores that others use two threads wait for each other most of the time.
    torch.set_num_threads(1)
    compiled = wavetwin.compile(trial.spec, [trial.override])
    plan = compiled.plan
    model = wavetwin.build_model(compiled)
    allowed = "--allow-other-data" in images.options
    cpu = torch.device("cpu")
    data = load_data(plan, data_root=images.root, device=cpu, allow_other_data=allowed)
    (entry,) = plan.evaluation
    found = []
    for snapshot in snapshots:
        load_weights(model, snapshot)
        scores = evaluate_entry(entry, model.eval(), data, torch.device("cpu")).scores
        found.append(100 - 100 * float(scores["top1_error"]))
    kept.write_text(json.dumps(found), encoding="utf-8")
    return found


def table(names: Sequence[str], seeds: Sequence[int], images: Images, last_alone: bool) -> str:
    """Return the study's table as Markdown: accuracies in percent, mean and standard deviation.

    The interval is that of the mean over seeds, by Student's t.
    """
    from wavetwin.runtime.evaluation.student import mean_interval

    lines = [
        "| spec | published | last epoch | 95 % interval | best epoch | difference | in deviations "
        "| single runs |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    targets = published()
    for name in names:
        series = [accuracies(Trial(name, seed), images, last_alone) for seed in seeds]
        last, best = [each[-1] for each in series], [max(each) for each in series]
        mean, spread = statistics.mean(last), statistics.stdev(last) if len(last) > 1 else 0.0
        low, high = mean_interval(last) if len(last) > 1 else (mean, mean)
        interval = f"{low:.2f} to {high:.2f}" if len(last) > 1 else ""
        best_mean = "" if last_alone else f"{statistics.mean(best):.2f}"
        row = [name, "", f"{mean:.2f} ± {spread:.2f}", interval, best_mean, "", ""]
        if name in targets:
            target, deviation = targets[name]
            row[1] = f"{target:.1f} ± {deviation:.2f}"
            row[5] = f"{mean - target:+.2f}"
            row[6] = f"{abs(mean - target) / max(spread, deviation):.1f}"
        lines.append(f"| {' | '.join([*row, ' '.join(f'{each:.2f}' for each in last)])} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data-root", type=Path, default=Path("data"), help="where MNIST is")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", nargs="+", help="names of specs; default: the table's")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time, a thread each")
    parser.add_argument("--last", action="store_true", help="score the last epoch alone")
    parser.add_argument("--tenth", action="store_true", help="a tenth of the training images")
    options = parser.parse_args()
    names: list[str] = options.rows or list(published())
    seeds: list[int] = options.seeds
    start = time.perf_counter()
    images = prepare_images(options.data_root.resolve(), options.tenth)
    trials = [Trial(name, seed) for seed in seeds for name in names]
    train(trials, images, options.jobs)
    text = table(names, seeds, images, options.last)
    (images.study / "table.md").write_text(text, encoding="utf-8")
    print(text)
    page = images.study / "report.html"
    folders = [str(trial.run_folder(images.runs).relative_to(ROOT)) for trial in trials]
    subprocess.run([str(WAVETWIN), "report", *folders, "-o", str(page)], cwd=ROOT, check=True)
    print(f"study: {time.perf_counter() - start:.0f} s; {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
