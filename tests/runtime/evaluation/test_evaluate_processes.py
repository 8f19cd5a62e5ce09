"""Two processes evaluate as one does: bit for bit, every image once."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.support.forked import run_together
from tests.support.suite import ENTRIES, evaluate_all, main, write_images
from wavetwin.runtime.process.own_code import install_sources


def test_two_processes_score_as_one(tmp_path: Path):
    root, out = tmp_path / "data", tmp_path / "out"
    out.mkdir()
    write_images(root)
    threads = torch.get_num_threads()
    try:
        alone = evaluate_all(root)
    finally:
        torch.set_num_threads(threads)
        install_sources({})
    assert alone[1].scores["metrics"]["weighted"] > 0
    for code, _, errors in run_together(2, lambda: main(root, out)):
        assert code == 0, errors
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
