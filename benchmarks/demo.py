"""The demo: a small CNN and its two twins on crops of real photographs, which is more stable?

Crops are smeared along one of six directions, which is to be recognised (smeared_crops.py); those of the
test are of photographs that no network was trained on. The networks (specs/demo) are built, trained,
evaluated and reported through the command line, as a user would type it. What is said in the end
follows from the numbers of each pair (demo_findings.py).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from benchmarks.demo_findings import Comparison, Setting
    from wavetwin.explain.report.runs import Run

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.smeared_crops import PHOTOGRAPHS, split_of, write_crops  # noqa: E402 (a script's folder is not the root)

WAVETWIN = Path(sys.executable).with_name("wavetwin")
FOLDER = Path("runs/demo")
DATA = FOLDER / "data"
REPORT = FOLDER / "report.html"
WIDTH = 110
"""Characters of a line."""


@dataclass(frozen=True, slots=True)
class Network:
    """One of the demo's networks."""

    spec: str
    label: str
    published: tuple[str, ...]
    """Its counterparts among the published networks, one of each of ARCHITECTURES."""

    @property
    def name(self) -> str:
        """The experiment's name."""
        return Path(self.spec).stem


ARCHITECTURES = ("AlexNet", "ResNet-34")
CNN = Network("specs/demo/demo_cnn.yaml", "CNN", ("AI", "RI"))
RMAX = Network("specs/demo/demo_rmax.yaml", "RMax", ("AwyI", "RwyI"))
CMOD = Network("specs/demo/demo_cmod.yaml", "CMod", ("AwyI_mod", "RwyI_mod"))
NETWORKS = (CNN, RMAX, CMOD)
PAIRS = ((CNN, RMAX), (CNN, CMOD), (RMAX, CMOD))


def command(*arguments: str, output: IO[bytes] | int | None = None) -> subprocess.Popen[bytes]:
    """Start one wavetwin command; its output goes to a file, or where the demo's goes."""
    errors = None if output is None else subprocess.STDOUT
    return subprocess.Popen([str(WAVETWIN), *arguments], cwd=ROOT, stdout=output, stderr=errors)


def run_all() -> None:
    """Build, train and evaluate all networks at the same time, a thread each, and show it in order.

    The first one is shown as it goes on, the others when they are finished. A failure stops all, and
    ends the demo with its exit code.
    """
    started: list[subprocess.Popen[bytes]] = []
    try:
        with ExitStack() as files:
            outputs = [files.enter_context(tempfile.TemporaryFile()) for _ in NETWORKS[1:]]
            for network, output in zip(NETWORKS, (None, *outputs), strict=True):
                # A changed checkout may run the demo, too: what it makes is marked as dirty.
                parts = ["run", "--allow-dirty", network.spec, "--data-root", str(DATA)]
                if output is None:
                    print(f"\n$ wavetwin {' '.join(parts)}", flush=True)
                started.append(command(*parts, output=output))
            for network, process, output in zip(NETWORKS, started, (None, *outputs), strict=True):
                process.wait()
                if output is not None:
                    output.seek(0)
                    text = output.read().decode(errors="replace")
                    print(f"\n$ wavetwin run --allow-dirty {network.spec} ...\n{text}", flush=True)
                if process.returncode:
                    sys.exit(process.returncode)
    finally:
        for process in started:
            if process.poll() is None:
                process.terminate()


def run_folder(network: Network) -> str:
    """The run that training a shipped spec makes."""
    import wavetwin
    from wavetwin.runtime.training.run_names import run_stem

    compiled = wavetwin.compile(ROOT / network.spec)
    return f"runs/{compiled.name}/{run_stem(compiled.plan, None)}"


def compare(first: Run, second: Run, labels: tuple[str, str]) -> Comparison:
    """Compare two runs over the test images, as the report does, and over those that both get right."""
    from benchmarks.demo_findings import Comparison, Measure
    from wavetwin.explain.report.paired import paired_measures

    measures = {each.name: each for each in paired_measures([(first, second)])[0]}
    errors, flips = (
        Measure(each.first, each.second, each.difference)
        for each in (measures["top-1 error"], measures["mean flip rate"])
    )
    (flips_first, right_first), (flips_second, right_second) = map(_shifts, (first, second))
    both = right_first & right_second
    of_right = Measure.of(flips_first[both], flips_second[both]) if both.any() else None
    return Comparison(*labels, len(both), errors, flips, int(both.sum()), of_right)


def _shifts(run: Run) -> tuple[Tensor, Tensor]:
    """Return the mean flip rate of each image, and whether it is right where it is not moved."""
    from safetensors.torch import load_file

    from wavetwin.explain.report.image_values import image_values
    from wavetwin.explain.report.runs import entry_of
    from wavetwin.ir.evaluations import Shifts

    (record,) = (each for each in run.scores if isinstance(entry_of(each), Shifts))
    values, classes = image_values(run, record), load_file(run.folder / record["predictions"])
    assert values is not None
    return values.values["mean flip rate"], classes["classes"][:, 0, 0] == values.labels


def published_rates(first: Network, second: Network) -> dict[str, tuple[float, float]]:
    """Return the published mean flip rates of two networks' counterparts, by architecture."""
    from statistics import mean

    from wavetwin.published import find_published

    rates: dict[str, tuple[float, float]] = {}
    for name, *counterparts in zip(ARCHITECTURES, first.published, second.published, strict=True):
        models = [find_published(each) for each in counterparts]
        values = [mean(each.flip_rates("diagonal").values()) for each in models if each is not None]
        rates[name] = (values[0], values[1])
    return rates


def setting(spec: str) -> Setting:
    """Return what a shipped spec trains on, and how."""
    import wavetwin
    from benchmarks.demo_findings import Setting

    compiled = wavetwin.compile(ROOT / spec)
    _, size, _ = compiled.graph.input.output_shape
    channels = compiled.graph.section("pool")[-1].output_shape[0]
    return Setting(size, channels, compiled.plan.epochs)


def findings(folders: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the differences of all pairs as lines of a table, and in sentences what they show.

    Args:
        folders: the networks' runs, in their order.
    """
    from benchmarks.demo_findings import elsewhere
    from wavetwin.explain.report.runs import read_source
    from wavetwin.explain.text_table import align

    runs = {
        network: read_source(ROOT / folder)
        for network, folder in zip(NETWORKS, folders, strict=True)
    }
    rows = [("", "top-1 error", "mean flip rate", "the same, images that both get right")]
    sentences: list[str] = []
    for first, second in PAIRS:
        found = compare(runs[first], runs[second], (first.label, second.label))
        of_right = found.flips_of_right.in_points if found.flips_of_right else "none"
        measures = found.errors.in_points, found.flips.in_points, of_right
        rows.append((f"{second.label} - {first.label}", *measures))
        here, there = setting(CNN.spec), setting("specs/alexnet/AI.yaml")
        more = elsewhere(found, published_rates(first, second), here, there)
        sentences += [found.sentence(), *([more] if more else [])]
    return align(rows), sentences


def main() -> None:
    start = time.perf_counter()
    counts = write_crops(ROOT / DATA / "smeared_crops")
    photographs = {split: sum(split_of(each) == split for each in PHOTOGRAPHS) for split in counts}
    parts = [
        f"{counts[split]:,} of {photographs[split]} photographs to {split}" for split in counts
    ]
    print(f"crops: {' and '.join(parts)}; {DATA}/smeared_crops has them")
    run_all()
    folders = [run_folder(network) for network in NETWORKS]
    parts = ["report", *folders, "--paired", CNN.name, CMOD.name, "-o", str(REPORT)]
    print(f"\n$ wavetwin {' '.join(parts)}", flush=True)
    # What it prints is on the page, too.
    code = command(*parts, output=subprocess.DEVNULL).wait()
    if code:
        sys.exit(code)
    table, sentences = findings(folders)
    heading = (
        "Differences in percentage points, with 95 % intervals over the test crops of one training each: "
        "they cover other crops of these photographs, not other photographs, nor training again. Images "
        "move by 1 to 4 pixels."
    )
    print("", fill(heading, WIDTH), "", *table, "", sep="\n")
    print("\n\n".join(fill(each, WIDTH) for each in sentences))
    made = ROOT / ".venv/.seconds"
    if made.is_file():
        print(
            f"\nenvironment: {made.read_text(encoding='utf-8').strip()} s, when it was made", end=""
        )
    print(f"\ndemo: {time.perf_counter() - start:.0f} s\nreport: {REPORT}")


if __name__ == "__main__":
    main()
