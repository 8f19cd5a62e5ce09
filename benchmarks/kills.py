"""SIGKILL at random moments of building, training, evaluating and indexing: docs/hardening.md.

    nice -n 10 python benchmarks/kills.py --kills 1000 --seed 0

A small twin on scikit-learn's digits is built, trained for two epochs, evaluated and listed, once
undisturbed. Then each stage is started again and again in a folder of its own, killed after a time that
is drawn evenly from what the stage took undisturbed, and started once more, until it ends by itself:
what is left has to be the same, bit for bit. A stage runs in a copy of a process that has imported
everything, so that no kill is spent on imports. Nothing may be left running either. Prints a line a
stage; exit code 1: something differs, and its folder is kept.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import torch  # noqa: E402

import wavetwin.runtime.training.train  # noqa: E402, F401
from tests.support.forked import Copy  # noqa: E402
from tests.support.scripted import only_run, run_here  # noqa: E402
from wavetwin.commands import cli  # noqa: E402
from wavetwin.files.json_text import parse_json  # noqa: E402

SPEC = """
extends: wavetwin:digits/twin_mod.yaml
name: small
training: {threads: 1, epochs: 2, checkpoint_every: 1, record_gradients: true, schedule: {warmup_epochs: 0}}
"""
LEFT_SECONDS = 20
"""How long a killed command's processes may take to notice."""
MOST_KILLS = 3
"""Of one life of a stage, before it is let to its end."""


@dataclass(frozen=True)
class Stage:
    """A command, what has to be there before it, and what it leaves."""

    name: str
    after: str | None
    """The stage whose folder it starts from."""
    start: Callable[[Path], int]
    outcome: Callable[[Path], Any]


@dataclass
class Count:
    """What came of the kills of one stage."""

    kills: int = 0
    late: int = 0
    """Starts that ended before their kill."""
    differing: int = 0


def build(project: Path) -> int:
    return cli.main(["build", str(project / "small.yaml"), "--no-git"])


def train(project: Path, workers: int) -> int:
    options = ["--device", "cpu", "--checkpoint-steps", "5", "--workers", str(workers)]
    return run_here(project / "generated/small/train.py", *options)


def evaluate(project: Path) -> int:
    return run_here(project / "generated/small/evaluate.py", "--device", "cpu")


def index(project: Path) -> int:
    return cli.main(["runs", "reindex", "--project", str(project)])


def built(project: Path) -> Any:
    folder = project / "generated"
    names = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(str(path.relative_to(folder)), _sha256(path)) for path in names]


def trained(project: Path) -> Any:
    run = only_run(project)
    weights = [
        _sha256(run / "checkpoints" / name)
        for name in ("last/model.safetensors", "best.safetensors")
    ]
    records = [
        [
            _without(parse_json(line), "time")
            for line in (run / name).read_text("utf-8").splitlines()
        ]
        for name in ("metrics.jsonl", "gradients.jsonl")
    ]
    manifest = parse_json((run / "manifest.json").read_text("utf-8"))
    return weights, records, manifest["status"], sorted(path.name for path in run.iterdir())


def evaluated(project: Path) -> Any:
    run = only_run(project)
    scores = parse_json((run / "scores.json").read_text("utf-8"))["scores"]
    named = [_sha256(run / score["predictions"]) for score in scores]
    # Names of predictions are drawn; a file that no score names would be left over.
    files = sorted(_sha256(path) for path in (run / "predictions").iterdir())
    return [_without(score, "date", "predictions") for score in scores], named, files


def listed(project: Path) -> Any:
    """What `runs list` says of the index as it was left, without when and where."""
    output = project / "list.json"
    code, said, errors = Copy(
        lambda: cli.main(["runs", "list", "--json", "--project", str(project)])
    ).wait()
    assert code == 0, (said, errors)
    output.write_text(said, encoding="utf-8")
    return _without_moments(json.loads(said), str(project))


STAGES = (
    Stage("build", None, build, built),
    Stage("train", "build", lambda project: train(project, 0), trained),
    Stage("train, 2 workers", "build", lambda project: train(project, 2), trained),
    Stage("evaluate", "train", evaluate, evaluated),
    Stage("index", "evaluate", index, listed),
)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _without(line: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key not in names}


def _without_moments(value: Any, project: str) -> Any:
    """Leave out of a listing what differs between two runs of the same thing: folders and times."""
    if isinstance(value, dict):
        return {
            key: _without_moments(each, project)
            for key, each in value.items()
            if key not in ("started", "ended", "seconds", "date", "mtime")
        }
    if isinstance(value, list):
        return [_without_moments(each, project) for each in value]
    return value.replace(project, "PROJECT") if isinstance(value, str) else value


def processes_in(session: int) -> list[int]:
    """Return the processes of a session that are not over: those that a command has left."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            found.append(int(entry.name))
    return found


def life(stage: Stage, project: Path, seconds: float | None) -> bool:
    """Run a stage, killed after so many seconds; return whether it was killed.

    Raises:
        RuntimeError: it ended by itself with another exit code than 0, or has left processes.
    """

    def start() -> int:
        os.setsid()
        return stage.start(project)

    copy = Copy(start)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(copy.pid, signal.SIGKILL)
    code, said, errors = copy.wait(600)
    if code not in (0, -signal.SIGKILL):
        raise RuntimeError(f"{stage.name}: exit code {code}\n{said}{errors}")
    end = time.monotonic() + LEFT_SECONDS
    while left := processes_in(copy.pid):
        if time.monotonic() > end:
            raise RuntimeError(
                f"{stage.name}: processes {left} are left {LEFT_SECONDS} s after the kill"
            )
        time.sleep(0.02)
    return code != 0


class Trial:
    """Each stage once undisturbed, and then killed."""

    def __init__(self, base: Path, seed: int) -> None:
        self.base = base
        self.random = random.Random(seed)
        self.whole: dict[str, Path] = {}
        self.took: dict[str, float] = {}
        self.right: dict[str, Any] = {}
        self.counts = {stage.name: Count() for stage in STAGES}

    def prepare(self, stage: Stage, project: Path) -> None:
        """Make the folder that a stage starts in."""
        if stage.after is not None:
            shutil.copytree(self.whole[stage.after], project)
            return
        project.mkdir()
        (project / ".wavetwin.toml").touch()
        (project / "small.yaml").write_text(SPEC, encoding="utf-8")

    def run_whole(self, stage: Stage) -> None:
        """Run a stage to its end, for what it takes and leaves."""
        project = self.base / f"whole-{len(self.whole)}"
        self.prepare(stage, project)
        before = time.monotonic()
        life(stage, project, None)
        self.took[stage.name] = time.monotonic() - before
        self.whole[stage.name] = project
        self.right[stage.name] = stage.outcome(project)
        print(f"{stage.name}: {self.took[stage.name]:.2f} s undisturbed", flush=True)

    def run_killed(self, stage: Stage, number: int) -> None:
        """Kill a stage a few times, let it end, and compare."""
        project, count = self.base / f"killed-{number}", self.counts[stage.name]
        self.prepare(stage, project)
        try:
            for _ in range(self.random.randint(1, MOST_KILLS)):
                if not life(stage, project, self.random.uniform(0, self.took[stage.name])):
                    count.late += 1
                    break
                count.kills += 1
            life(stage, project, None)
            found = stage.outcome(project)
        except (RuntimeError, OSError, ValueError, LookupError) as fault:
            print(f"{stage.name}: {project}: {type(fault).__name__}: {fault}", flush=True)
            found = None
        if found == self.right[stage.name]:
            shutil.rmtree(project)
        else:
            print(f"{stage.name}: {project} is not as undisturbed", flush=True)
            count.differing += 1


def main() -> int:
    """Kill, and compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    trial = Trial(Path(tempfile.mkdtemp(prefix="wavetwin-kills-")), options.seed)
    for stage in STAGES:
        trial.run_whole(stage)
    number = 0
    while sum(count.kills for count in trial.counts.values()) < options.kills:
        trial.run_killed(STAGES[number % len(STAGES)], number)
        number += 1
    for name, count in trial.counts.items():
        print(
            f"{name}: {count.kills} kills ({count.late} times it ended before), "
            f"{count.differing} not as undisturbed"
        )
    if any(count.differing for count in trial.counts.values()):
        return 1
    shutil.rmtree(trial.base)
    return 0


if __name__ == "__main__":
    sys.exit(main())
