"""docs/fine-tuning.md: its fields are all there, and its commands do what it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from wavetwin.compiler.compiled import compile_spec
from wavetwin.ir.section import declared_fields
from wavetwin.ir.starting_weights import StartingWeights

TEXT = (ROOT / "docs/fine-tuning.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```(yaml|sh)\n(.*?)```", re.DOTALL)


def test_every_field_has_a_line():
    for each in declared_fields(StartingWeights):
        assert f"| `{each.name}` | " in TEXT, each.name


@pytest.mark.slow  # trains four small networks
@pytest.mark.timeout(1800)
def test_the_commands_do_what_the_page_says(tmp_path: Path):
    (tmp_path / ".wavetwin.toml").touch()
    (tmp_path / "specs").mkdir()
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PATH": paths, "PYTHONPATH": str(ROOT)}
    ids: dict[str, str] = {}
    said: list[str] = []
    for kind, block in BLOCK.findall(TEXT.partition("## An example")[2]):
        if kind == "yaml":
            file = re.match(r"# (specs/\w+\.yaml)\n", block)
            assert file is not None, block
            content = block
            for name, found in ids.items():
                content = content.replace(name, found)
            (tmp_path / file[1]).write_text(content, encoding="utf-8")
            continue
        done = subprocess.run(
            ["bash", "-ec", block],
            cwd=tmp_path,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        said.append(done.stdout + done.stderr)
        for placeholder, name in (("RUN_ID", "cnn"), ("HELD_ID", "held")):
            if (tmp_path / "runs" / name).is_dir():
                (run,) = (tmp_path / "runs" / name).iterdir()
                ids[placeholder] = run.name
    assert f"weights: 14 tensors of runs/cnn/{ids['RUN_ID']}/checkpoints/best" in said[1]
    assert "the second starts from weights that were trained before" in said[2]
    assert "16 wavelet channels fitted" in said[3]
    assert "projected" in said[3]
    twin = compile_spec(tmp_path / "specs/twin.yaml")
    assert twin.plan.weights is not None
    (run,) = (tmp_path / "runs/twin").iterdir()
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["starting_weights"]["sha256"] == twin.plan.weights.sha256
    assert manifest["starting_weights"]["fresh"] == []
