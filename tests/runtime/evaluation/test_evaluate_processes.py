"""Two processes evaluate as one does: bit for bit, every image once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.support.paths import ROOT
from tests.support.suite import ENTRIES, evaluate_all, write_images


def test_two_processes_score_as_one(tmp_path: Path):
    root, out = tmp_path / "data", tmp_path / "out"
    out.mkdir()
    write_images(root)
    threads = torch.get_num_threads()
    try:
        alone = evaluate_all(root)
    finally:
        torch.set_num_threads(threads)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", str(ROOT / "tests/support/suite.py")]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    finished = subprocess.run(
        [*command, str(root), str(out)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    for rank in range(2):
        report = json.loads((out / f"{rank}.json").read_text(encoding="utf-8"))
        # As text: floats keep all their bits.
        assert json.dumps(report["scores"]) == json.dumps([each.scores for each in alone])
        assert json.dumps(report["intervals"]) == json.dumps([each.intervals for each in alone])
        assert report["images"] == [360, 360, 360, 360, 13, 39]
        for number in range(len(ENTRIES)):
            table = load_file(out / f"{rank}-{number}.safetensors")
            assert table.keys() == alone[number].per_image.keys()
            for name, values in alone[number].per_image.items():
                assert torch.equal(table[name], values), name
        assert "5.png cannot be read" in report["error"]
        assert "not a finite number for some images of one crop" in report["diverged"]
