"""Reproduce table 1.4 of "A Learnable ScatterNet" on MNIST: invariant layers, five mixings, and convolutions.

Eight networks and the seeds 0, 1, 2; every training is a run of `wavetwin run`, as a user would type
it, two at a time with a thread each. A run that is finished is not repeated and one that was stopped
goes on, so that the same command takes up an interrupted study. It prints test accuracy after the last
and after the best epoch beside the published figures. docs/scatternet-study.md has the result.
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
STUDY = ROOT / "runs/mnist-table"


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

    def run_folder(self) -> Path:
        """The run of the spec and the seed as they are now."""
        import wavetwin
        from wavetwin.runtime.training.run_names import run_stem

        compiled = wavetwin.compile(self.spec, [self.override])
        return ROOT / f"runs/{compiled.name}/{run_stem(compiled.plan, None)}"


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


def train(trials: Sequence[Trial], data_root: Path, jobs: int) -> None:
    """Train and evaluate all trials, so many at a time, never two of one spec.

    A spec has one folder of scripts: the seeds take turns in it.
    """
    waiting = list(trials)
    going: dict[Trial, subprocess.Popen[bytes]] = {}
    logs = STUDY / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    failed: list[Path] = []
    while waiting or going:
        free = [each for each in waiting if each.name not in {trial.name for trial in going}]
        if free and len(going) < jobs and not failed:
            trial = free[0]
            waiting.remove(trial)
            spec = str(trial.spec.relative_to(ROOT))
            arguments = ["run", spec, "--set", trial.override, "--", "--data-root", str(data_root)]
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


def accuracies(trial: Trial, data_root: Path) -> list[float]:
    """Return the test accuracy after each epoch, in percent; scored once, then read."""
    import torch

    import wavetwin
    from wavetwin.runtime.data import load_data
    from wavetwin.runtime.evaluation.entries import evaluate_entry
    from wavetwin.runtime.training.checkpoint import load_weights

    run = trial.run_folder()
    snapshots = sorted((run / "checkpoints").glob("epoch-*.safetensors"))
    kept = STUDY / f"epochs-{trial.name}-{run.name}.json"
    if kept.is_file():
        found: list[float] = json.loads(kept.read_text(encoding="utf-8"))
        if len(found) == len(snapshots):
            return found
    # As the trainings: on cores that others use two threads wait for each other most of the time.
    torch.set_num_threads(1)
    compiled = wavetwin.compile(trial.spec, [trial.override])
    plan = compiled.plan
    model = wavetwin.build_model(compiled)
    data = load_data(plan, data_root=data_root, device=torch.device("cpu"))
    (entry,) = plan.evaluation
    found = []
    for snapshot in snapshots:
        load_weights(model, snapshot)
        scores = evaluate_entry(entry, model.eval(), data, torch.device("cpu")).scores
        found.append(100 - 100 * float(scores["top1_error"]))
    kept.write_text(json.dumps(found), encoding="utf-8")
    return found


def table(names: Sequence[str], seeds: Sequence[int], data_root: Path) -> str:
    """Return the study's table as Markdown: accuracies in percent, mean and standard deviation."""
    lines = [
        "| spec | published | last epoch | best epoch | difference | in deviations | single runs |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    targets = published()
    for name in names:
        series = [accuracies(Trial(name, seed), data_root) for seed in seeds]
        last, best = [each[-1] for each in series], [max(each) for each in series]
        mean, spread = statistics.mean(last), statistics.stdev(last) if len(last) > 1 else 0.0
        row = [name, "", f"{mean:.2f} ± {spread:.2f}", f"{statistics.mean(best):.2f}", "", ""]
        if name in targets:
            target, deviation = targets[name]
            row[1] = f"{target:.1f} ± {deviation:.2f}"
            row[4] = f"{mean - target:+.2f}"
            row[5] = f"{abs(mean - target) / max(spread, deviation):.1f}"
        lines.append(f"| {' | '.join([*row, ' '.join(f'{each:.2f}' for each in last)])} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data-root", type=Path, default=Path("data"), help="where MNIST is")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", nargs="+", help="names of specs; default: the table's")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time, a thread each")
    options = parser.parse_args()
    data_root: Path = options.data_root.resolve()
    names: list[str] = options.rows or list(published())
    start = time.perf_counter()
    prepare = [str(WAVETWIN), "data", "prepare", "mnist", "--data-root", str(data_root)]
    if subprocess.run(prepare, cwd=ROOT, check=False).returncode:
        sys.exit("MNIST cannot be prepared")
    train([Trial(name, seed) for seed in options.seeds for name in names], data_root, options.jobs)
    runs = [Trial(name, seed).run_folder() for seed in options.seeds for name in names]
    text = table(names, options.seeds, data_root)
    (STUDY / "table.md").write_text(text, encoding="utf-8")
    print(text)
    page = STUDY / "report.html"
    folders = [str(run.relative_to(ROOT)) for run in runs]
    subprocess.run([str(WAVETWIN), "report", *folders, "-o", str(page)], cwd=ROOT, check=True)
    print(f"study: {time.perf_counter() - start:.0f} s; {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
