"""The report in a real browser: phone, desk and paper. Slow, and needs a Chromium on PATH."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.shipped import ROOT
from wavetwin.commands import cli

CHECK = ROOT / "benchmarks/browser_check.py"
FAULTY = """<!doctype html><html lang="en"><title>t</title><body>
<h1>A</h1><h3 id="x" style="color:#999">grey</h3><p id="x">text</p>
<div style="width:900px">wide</div><img src="http://127.0.0.1:9/x.png">
<table><tr><td>1</td></tr></table>
<div class="scroll" aria-label="cut" style="overflow:hidden;width:9em;white-space:nowrap">
<span>a line that is a good deal longer than that</span></div>
<svg aria-label="s" width="90" height="20"><rect width="90" height="20" fill="#222"/>
<text y="15" fill="#444">dark</text></svg><script>console.error("oh")</script></body></html>"""


def checked(*pages: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(CHECK), *map(str, pages)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_report_in_a_browser(tmp_path: Path) -> None:
    """Two models of digits, trained and scored, at 400 and 1400 pixels and on paper."""
    for name in ("cnn", "twin_mod"):
        parts = ["run", "--allow-dirty", "--out", str(tmp_path / "generated")]
        spec = str(ROOT / f"specs/digits/{name}.yaml")
        assert cli.main([*parts, spec, "--", "--runs", str(tmp_path / "runs")]) == 0
    runs = sorted(map(str, (tmp_path / "runs").glob("*/*")))
    assert len(runs) == 2
    assert cli.main(["report", *runs, "-o", str(tmp_path / "report.html")]) == 0
    done = checked(tmp_path / "report.html")
    assert done.returncode == 0, done.stdout + done.stderr
    for width in ("400 pixels", "1400 pixels", "paper"):
        assert f"report.html, {width}: " in done.stdout
    assert "no fault found" in done.stdout


@pytest.mark.slow
def test_the_check_finds_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text(FAULTY, encoding="utf-8")
    done = checked(tmp_path / "bad.html")
    assert done.returncode == 1, done.stdout + done.stderr
    for fault in (
        "contrast 2.85 of 'grey'",
        "of 'dark'",
        "400 pixels: the page is",
        "400 pixels: too wide: <div",
        "request: http://127.0.0.1:9/x.png",
        "console: ",
        "id twice: x",
        "heading of level 3 after 1",
        "a picture without a name",
        "a table without a caption or scopes",
        "on paper: cut on paper: cut",
    ):
        assert fault in done.stdout, done.stdout
    assert "1400 pixels: the page is" not in done.stdout
