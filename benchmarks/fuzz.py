"""Mutate specs and sweeps, and hold them against `check`, `build` and `sweep --check`: docs/hardening.md.

    nice -n 10 python benchmarks/fuzz.py --checks 100000 --builds 5000 --sweeps 10000 --seed 0

Every document is a mutation of a shipped spec or sweep, of a bad one of the tests or of a small text: its
bytes, its characters, its lines or its structure are changed, up to a few times. It has to end in
diagnostics or in compiled experiments; anything raised beside, or anything longer than the limit,
is printed with the document, which `--keep` also writes. Exit code 1: something was found.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, TextIO

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from wavetwin.commands.specs import BuildOptions, build_specs, check_specs
from wavetwin.compiler.sweep import checks
from wavetwin.compiler.sweep.members import check_sweep
from wavetwin.diagnostics import CompileError, Diagnostic, render_json, render_text
from wavetwin.ir.sweeps import SWEEP_SUFFIX
from wavetwin.sweep.member_table import member_table

ROOT = Path(__file__).parents[1]
LIMIT_SECONDS = 5
"""Of one document's processor time; a batch that takes longer is looked at one by one."""
BATCH = 25
"""Documents of one command: files that they share are read once, as a command does."""
LIMIT_BYTES = 1 << 30
SWEEP_POINTS = 300
"""Of a grid at most."""
SWEEP_SECONDS = 60
"""Of one sweep's processor time: thousands of points that are drawn are compiled one by one."""

TOKENS = (
    ": ", ":", "- ", "-", "? ", "\t", " ", "  ", "\n", "\r\n", "\r", "#", " # ", "{", "}", "[", "]",
    ",", "&a ", "*a", "<<: *a", "!", "!!str ", "!!int", "|", ">", "|-2\n", ">+\n", "'", '"', "''", "\\",
    '"\\x41"', '"\\uD800"', '"\\UFFFFFFFF"', "%", "%YAML 1.2\n---\n", "%TAG ! x\n", "---\n", "...\n", "~",
    "null", "true", "no", ".nan", "-.inf", "1e999", "0x7f", "0o7", "0,5", "1_000", "9" * 70, "@", "`",
    "\0", "\x07", "\ufeff", "\u2028", "\x85", "\u00e9", "\U0001f600", "<<<<<<< HEAD\n", "=======\n",
    ">>>>>>> x\n", "extends: spec.yaml\n", "extends: .\n", "extends: /etc/passwd\n", "x" * 5000,
    "[" * 40, "{a: " * 40, "? " * 40, "- " * 40, "wavetwin: 1\n",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3, 7, 10**6, 2**63, 10**40, 0.5, 1.0, -0.0, 1e-9, 1e308,
    float("inf"), float("nan"), "", " ", "text", "max_blur", "modulus", "sequential", "resnet18",
    "digits", "plateau", "sgd", "../x.yaml", "x" * 300, "\n", "null", "0,05", "a\0b", [], [[]], [None],
    {}, {"": 1}, [1, 2, 3], [{"mode": "one_crop"}] * 3, list(range(300)), {"band": 1, "channels": 6},
    [{"conv": {"channels": 4}}, {"flatten": {}}, {"linear": {}}],
)  # fmt: skip
TEXTS = (
    b"wavetwin: 1\nbackbone: {arch: resnet18}\ndata: {dataset: cifar10}\n",
    b"wavetwin: 1\nbackbone:\n  arch: sequential\n  layers:\n    - conv: {channels: 4}\n    - relu: {}\n"
    b"    - flatten: {}\n    - linear: {}\nstem:\n  free_channels: 4\ndata:\n  dataset: digits\n",
    b"a: &a [1, *b]\n? b\n: {c: |\n d\n}\n--- # e\n",
)
SWEEPS = (
    b"wavetwin_sweep: 1\nbase: cnn.yaml\nsearch: tpe\nseeds: [0, 1]\nobjective: validation.top1_error\n"
    b"space:\n  training.optimizer.lr: {log_uniform: [1e-3, 1.0]}\n  training.epochs: {int: [4, 9]}\n"
    b"  pooling: {choices: [null, {free: max_blur}]}\n  training.optimizer.momentum: {uniform: [0.0, 0.9]}\n"
    b"budget: {points: 12, grace_epochs: 1, reduction: 2}\nscheduler: median\nparallel: 2\n",
    b"wavetwin_sweep: 1\nbase: twin.yaml\nobjective: validation.loss\nspace:\n"
    b"  stem.wavelet.levels: {grid: [2, 3]}\n  stem.free_channels: {grid: [8, 16]}\n",
)
OVERRIDES = (
    "training.epochs=3", "stem.wavelet=null", "evaluation=[{mode: one_crop}]", "tags=[a, b]",
    "summary=a b", "training.optimizer={name: adamw, lr: 1e-3}", "data.image_size=33",
)  # fmt: skip


class Fuzzer:
    """Documents, mutations and what came of them."""

    def __init__(self, seed: int, folder: Path, documents: Iterable[tuple[str, bytes]]) -> None:
        """Begin with documents, each with the folder that it lies in."""
        self.random = random.Random(seed)
        self.folder = folder
        self.corpus: list[tuple[str, bytes]] = []
        self.trees: list[tuple[str, Any]] = []
        self.kinds: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.failures = 0
        self.slowest = 0.0
        for position, data in documents:
            self._take(position, data)

    def _take(self, position: str, data: bytes) -> None:
        if len(data) > 4000:
            return
        self.corpus.append((position, data))
        try:
            tree = YAML(typ="safe", pure=True).load(data)
        except (YAMLError, ValueError):
            return
        # Of a tree with many aliases every mutation would be one of size alone.
        if isinstance(tree, dict) and len(json.dumps(tree)) < 8000:
            self.trees.append((position, tree))

    def document(self, gentle: bool) -> tuple[str, bytes]:
        """Return a folder and a mutated document; a gentle one is often still valid."""
        name, mutate = self.random.choice(MUTATIONS[-1:] if gentle else MUTATIONS)
        self.kinds[name] += 1
        if name == "structure":
            position, tree = self.random.choice(self.trees)
            tree = json.loads(json.dumps(tree))
            for _ in range(1 if gentle else self.random.randint(1, 4)):
                self._change(tree, gentle)
            return position, self._write(tree)
        position, data = self.random.choice(self.corpus)
        for _ in range(self.random.randint(1, 5)):
            data = mutate(self, data)
        return position, data[:200_000]

    def override(self) -> str:
        """Return a mutated override; a command line holds no NUL."""
        data = self.random.choice(OVERRIDES).encode()
        for _ in range(self.random.randint(0, 3)):
            data = self.tokens(data)
        return data.decode("utf-8", errors="replace").replace("\0", "")

    def bytes(self, data: bytes) -> bytes:
        """Change, add or drop single bytes."""
        at = self.random.randrange(len(data) + 1)
        byte = bytes([self.random.randrange(256)])
        return data[:at] + self.random.choice((byte, b"")) + data[at + self.random.randint(0, 2) :]

    def tokens(self, data: bytes) -> bytes:
        """Insert or write over with what YAML reads in its own way."""
        at = self.random.randrange(len(data) + 1)
        token = self.random.choice(TOKENS).encode()
        stop = at + self.random.choice((0, 0, 1, len(token)))
        return data[:at] + token + data[stop:]

    def slices(self, data: bytes) -> bytes:
        """Drop, double or move a stretch, or take it from another document."""
        start = self.random.randrange(len(data) + 1)
        stop = min(len(data), start + self.random.randint(1, 60))
        other = self.random.choice(self.corpus)[1]
        at = self.random.randrange(len(other) + 1)
        return self.random.choice(
            (
                data[:start] + data[stop:],
                data[:stop] + data[start:],
                data[:start] + other[at : at + 60] + data[stop:],
                data[:start],
            )
        )

    def lines(self, data: bytes) -> bytes:
        """Drop, double, swap, indent or dedent a line."""
        lines = data.split(b"\n")
        at = self.random.randrange(len(lines))
        line = lines[at]
        kind = self.random.randrange(6)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(at, line)
        elif kind == 2:
            other = self.random.randrange(len(lines))
            lines[at], lines[other] = lines[other], line
        else:
            lines[at] = (b" " + line, line[1:], b"\t" + line)[kind - 3]
        return b"\n".join(lines)

    def _change(self, tree: Any, is_gentle: bool) -> None:
        """Change one value or key of a tree."""
        holders = list(_holders(tree))
        holder = self.random.choice(holders)
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        if not keys:
            return
        key = self.random.choice(keys)
        kind = self.random.randrange(6)
        if is_gentle and isinstance(holder[key], int | float):
            kind = 3
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[str(key)[:-1] or "x"] = holder.pop(key)
        elif kind == 2:
            other = self.random.choice(list(_holders(self.random.choice(self.trees)[1])))
            holder[key] = json.loads(json.dumps(other))
        elif kind == 3 and isinstance(holder[key], int | float):
            holder[key] = self.random.choice((holder[key] * 2, holder[key] + 1, -holder[key]))
        else:
            holder[key] = deepcopy(self.random.choice(VALUES))

    def _write(self, tree: Any) -> bytes:
        text = json.dumps(tree, indent=self.random.choice((None, 1)), ensure_ascii=False)
        text = text.replace("NaN", ".nan").replace("Infinity", ".inf")
        return text.encode("utf-8", errors="replace")


def _holders(tree: Any) -> Iterator[Any]:
    yield tree
    for value in tree.values() if isinstance(tree, dict) else tree:
        if isinstance(value, dict | list):
            yield from _holders(value)


def specs() -> Iterator[tuple[str, bytes]]:
    """Yield specs to mutate."""
    for path in sorted((ROOT / "specs").rglob("*.yaml")):
        if not path.name.endswith(SWEEP_SUFFIX):
            yield str(path.relative_to(ROOT).parent), path.read_bytes()
    for path in sorted((ROOT / "tests" / "bad_specs").rglob("*.yaml")):
        yield "specs", path.read_bytes()
    for text in TEXTS:
        yield "specs", text


def sweeps() -> Iterator[tuple[str, bytes]]:
    """Yield sweeps to mutate; those of the tests have a base called cnn.yaml."""
    for path in sorted((ROOT / "specs").rglob("*.yaml")):
        if path.name.endswith(SWEEP_SUFFIX):
            yield str(path.relative_to(ROOT).parent), path.read_bytes()
    for path in sorted((ROOT / "tests" / "bad_sweeps").rglob("*.yaml")):
        yield "specs/digits", path.read_bytes()
    for text in SWEEPS:
        yield "specs/digits", text


def make_project(folder: Path) -> None:
    """Lay out what documents extend or vary."""
    (folder / ".wavetwin.toml").touch()
    shutil.copytree(ROOT / "specs", folder / "specs")


Mutate = Callable[[Fuzzer, bytes], bytes]
MUTATIONS: tuple[tuple[str, Mutate], ...] = (
    ("bytes", Fuzzer.bytes),
    ("tokens", Fuzzer.tokens),
    ("slices", Fuzzer.slices),
    ("lines", Fuzzer.lines),
    ("structure", Fuzzer.bytes),
)


class Hang(BaseException):
    """A document took longer than the limit."""


@contextmanager
def limited(seconds: int = LIMIT_SECONDS) -> Iterator[None]:
    """Raise `Hang` after the limit; CPU time, so that a busy machine finds none."""

    def stop(*_: object) -> None:
        raise Hang

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def run_batch(fuzzer: Fuzzer, numbers: range, is_build: bool, keep: Path | None) -> None:
    """Check or build some documents by one command, and one by one where that fails."""
    paths: list[Path] = []
    for number in numbers:
        position, data = fuzzer.document(gentle=is_build)
        paths.append(fuzzer.folder / position / f"fuzzed{number % BATCH}.yaml")
        paths[-1].write_bytes(data)
    overrides = (fuzzer.override(),) if not is_build and fuzzer.random.random() < 0.1 else ()
    # A build writes nothing where one of its specs is at fault.
    if is_build or not run_paths(fuzzer, paths, overrides, is_build, None):
        for path in paths:
            if not run_paths(fuzzer, [path], overrides, is_build, sys.stdout):
                print(f"--- above: {numbers} {overrides} {path.read_bytes()[:2000]!r}")
                fuzzer.failures += 1
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, keep / f"{numbers.start}-{path.name}")
    for path in paths:
        path.unlink()


def run_sweep(fuzzer: Fuzzer, number: int, keep: Path | None) -> None:
    """Check one sweep, as `sweep --check` does."""
    position, data = fuzzer.document(gentle=number % 2 == 0)
    path = fuzzer.folder / position / "fuzzed.sweep.yaml"
    path.write_bytes(data)
    started = time.process_time()
    found: Sequence[Diagnostic] = ()
    try:
        with limited(SWEEP_SECONDS):
            try:
                checked = check_sweep(path)
                member_table(checked, None, 1)
                found = checked.warnings
            except CompileError as error:
                found = error.diagnostics
            render_text(found, colour=True)
            render_json(found)
    except (Exception, Hang):
        traceback.print_exc(limit=-4, file=sys.stdout)
        print(f"--- above: sweep {number} {data[:2000]!r}")
        fuzzer.failures += 1
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, keep / f"sweep-{number}.yaml")
    is_refused = any(each.severity == "error" for each in found)
    fuzzer.outcomes["sweep: refused" if is_refused else "sweep: taken"] += 1
    fuzzer.codes.update({each.code for each in found})
    fuzzer.slowest = max(fuzzer.slowest, time.process_time() - started)
    path.unlink()


def run_paths(
    fuzzer: Fuzzer,
    paths: list[Path],
    overrides: tuple[str, ...],
    is_build: bool,
    log: TextIO | None,
) -> bool:
    """Run one command; return whether it ended as it should."""
    started = time.process_time()
    try:
        with limited():
            try:
                if is_build:
                    out = fuzzer.folder / "built"
                    build_specs(paths, BuildOptions(overrides, out=out, no_git=True, force=True))
                    found = ()
                else:
                    found = check_specs(paths, overrides).diagnostics
            except CompileError as error:
                found = error.diagnostics
            render_text(found, colour=True)
            render_json(found)
    except (Exception, Hang):
        if log is not None:
            traceback.print_exc(limit=-4, file=log)
        return False
    refused = {each.location.path for each in found if each.severity == "error" and each.location}
    command = "build" if is_build else "check"
    fuzzer.outcomes[f"{command}: refused"] += min(len(refused), len(paths))
    fuzzer.outcomes[f"{command}: taken"] += len(paths) - min(len(refused), len(paths))
    fuzzer.codes.update({each.code for each in found})
    fuzzer.slowest = max(fuzzer.slowest, time.process_time() - started)
    return True


def main() -> int:
    """Run the documents and print the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checks", type=int, default=100_000)
    parser.add_argument("--builds", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for the documents that fail")
    parser.add_argument("--sweeps", type=int, default=10_000)
    options = parser.parse_args()
    # Every point of a grid is compiled, which ten thousand points take their time for.
    checks.MAX_POINTS = SWEEP_POINTS
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        make_project(Path(name))
        fuzzer = Fuzzer(options.seed, Path(name), specs())
        for count, is_build in ((options.checks, False), (options.builds, True)):
            for number in range(0, count, BATCH):
                numbers = range(number, min(count, number + BATCH))
                run_batch(fuzzer, numbers, is_build, options.keep)
                if number % 1000 == 0:
                    gc.collect()
                    print(f"{number} at {time.perf_counter() - started:.0f} s", flush=True)
        of_sweeps = Fuzzer(options.seed, Path(name), sweeps())
        for number in range(options.sweeps):
            run_sweep(of_sweeps, number, options.keep)
            if number % 1000 == 0:
                gc.collect()
                print(f"sweep {number} at {time.perf_counter() - started:.0f} s", flush=True)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for each in (fuzzer, of_sweeps):
        print(f"mutations: {dict(each.kinds)}")
        print(f"outcomes: {dict(each.outcomes)}")
        print(f"codes: {len(each.codes)} kinds, {dict(each.codes.most_common())}")
        print(f"slowest command: {each.slowest:.2f} s, memory: {used / 2**20:.0f} MiB")
    failures = fuzzer.failures + of_sweeps.failures
    print(f"failures: {failures}, in {time.perf_counter() - started:.0f} s")
    return 1 if failures or used > LIMIT_BYTES else 0


if __name__ == "__main__":
    sys.exit(main())
