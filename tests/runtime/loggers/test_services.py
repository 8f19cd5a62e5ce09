"""MLflow and Weights & Biases take a run of several sessions as one: the real packages, nothing sent.

Marked slow: the packages of both extras are installed into a folder of their own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.built import build, write_images, write_spec
from tests.support.paths import CONSTRAINTS
from tests.support.scripted import only_run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

EPOCHS = 12
READ_MLFLOW = """
import json, sys
from mlflow import MlflowClient, set_tracking_uri
set_tracking_uri(sys.argv[1])  # MLflow 3.0 lists artifacts of this one, not of its client's.
client = MlflowClient()
(experiment,) = [each for each in client.search_experiments() if each.name == "small"]
runs = client.search_runs([experiment.experiment_id])
print(json.dumps([
    {
        "status": run.info.status,
        "params": run.data.params,
        "loss": [[m.step, m.value] for m in client.get_metric_history(run.info.run_id, "epoch/train/loss")],
        "pictures": [each.path for each in client.list_artifacts(run.info.run_id, "images")],
    }
    for run in runs
]))
"""
READ_WANDB = """
import json, struct, sys
from pathlib import Path
from wandb.proto import wandb_internal_pb2

BLOCK, HEADER = 32768, 7  # The file is a log of LevelDB's format behind a header of as many bytes.


def records(content):
    position, parts = HEADER, b""
    while position + HEADER <= len(content):
        left = BLOCK - position % BLOCK
        if left < HEADER:
            position += left
            continue
        _, size, kind = struct.unpack_from("<IHB", content, position)
        end = position + HEADER + size
        if kind == 0 or end > len(content):
            return
        parts += content[position + HEADER : end]
        position = end
        if kind in (1, 4):  # whole, or the last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            yield record
            parts = b""


for name in sys.argv[1:]:
    for record in records(Path(name).read_bytes()):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            print(json.dumps({"run": record.run.run_id}))
        if kind == "history":
            items = record.history.item
            print(json.dumps({i.key or ".".join(i.nested_key): json.loads(i.value_json) for i in items}))
"""


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages of both extras, in the versions of the constraints."""
    folder = tmp_path_factory.mktemp("services")
    names = ["mlflow-skinny", "wandb"]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder)]
    subprocess.run([*command, "-c", CONSTRAINTS, *names], check=True)
    return folder


def variables(services: Path, home: Path, loggers: str) -> dict[str, str]:
    own = {
        key: value for key, value in os.environ.items() if not key.startswith(("WANDB", "MLFLOW"))
    }
    return own | {
        "PYTHONPATH": str(services),
        "XDG_CONFIG_HOME": str(home),
        "WAVETWIN_LOGGERS": loggers,
        # The plain files of MLflow, which need no database, are in maintenance.
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "OMP_NUM_THREADS": "1",
    }


def train_killed_once(project: Path, services: Path, loggers: str, config: str) -> dict[str, str]:
    """Kill a training after an epoch, let it go on to its end; return the variables."""
    home = project / "home"
    (home / "wavetwin").mkdir(parents=True)
    (home / "wavetwin/config.toml").write_text(config, encoding="utf-8")
    folder, images = (
        build(write_spec(project, epochs=EPOCHS)).folder,
        write_images(project / "images"),
    )
    command = [sys.executable, "train.py", "--device", "cpu", "--data-root", str(images)]
    environment = variables(services, home, loggers)
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        for line in first.stdout:
            if line.startswith("epoch 2:"):
                break
        first.send_signal(signal.SIGKILL)
    time.sleep(1)
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    assert "resumed after" in done.stdout
    assert "left out" not in done.stdout, done.stdout
    return environment


def losses(project: Path) -> dict[int, float]:
    lines = [
        json.loads(line) for line in (only_run(project) / "metrics.jsonl").read_text().splitlines()
    ]
    return {line["epoch"]: line["train"]["loss"] for line in lines if line["kind"] == "epoch"}


def test_mlflow(services: Path, tmp_path: Path) -> None:
    uri = (tmp_path / "mlruns").as_uri()
    environment = train_killed_once(
        tmp_path, services, "mlflow", f'[mlflow]\ntracking_uri = "{uri}"\n'
    )
    done = subprocess.run(
        [sys.executable, "-c", READ_MLFLOW, uri],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    (run,) = json.loads(done.stdout)
    assert run["status"] == "FINISHED"
    assert run["params"]["epochs"] == str(EPOCHS)
    assert run["params"]["optimizer.name"] == "sgd"
    wanted = losses(tmp_path)
    assert dict(run["loss"]) == wanted
    assert all(wanted[step] == value for step, value in run["loss"])
    assert run["pictures"]


def test_wandb(services: Path, tmp_path: Path) -> None:
    environment = train_killed_once(tmp_path, services, "wandb", '[wandb]\nproject = "tests"\n')
    files = sorted(map(str, only_run(tmp_path).glob("wandb/offline-run-*/*.wandb")))
    assert len(files) == 2
    done = subprocess.run(
        [sys.executable, "-c", READ_WANDB, *files],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    rows: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    identity = json.loads((only_run(tmp_path) / "manifest.json").read_text())["identity"]
    assert {row["run"] for row in rows if "run" in row} == {identity}
    found = [(row["epoch"], row["epoch/train/loss"]) for row in rows if "epoch/train/loss" in row]
    wanted = losses(tmp_path)
    assert all(wanted[epoch] == value for epoch, value in found)
    assert dict(found).keys() >= set(range(3, EPOCHS + 1))
