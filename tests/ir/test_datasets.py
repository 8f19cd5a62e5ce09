"""Data sets: a row is known wherever data sets are asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from itertools import permutations
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.plans import make_plan
from wavetwin.commands.data_check import check_data
from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.diagnostics import CompileError
from wavetwin.explain.diff.difference import Difference, Experiment, compare
from wavetwin.ir.dataset import Dataset
from wavetwin.ir.datasets import DATASETS
from wavetwin.runtime.data.official import Official
from wavetwin.runtime.data.readers import find_images
from wavetwin.runtime.process.errors import RunError

ROWS = tuple(DATASETS.values())
LAID_OUT = tuple(row for row in ROWS if row.package is None)
FIRST_OF_LAYOUTS = tuple({row.reader: row for row in reversed(ROWS)}.values())
SPEC = """wavetwin: 1
backbone:
  arch: sequential
  layers: [{{pool: {{kind: global_average}}}}, {{flatten: {{}}}}, {{linear: {{}}}}]
stem: {{free_channels: 8}}
data: {{dataset: {name}{classes}{needs}}}
"""


def write_spec(folder: Path, row: Dataset, num_classes: int | None) -> Path:
    path = folder / f"{row.name}_{num_classes}.yaml"
    classes = "" if num_classes is None else f", num_classes: {num_classes}"
    needs = "".join(f", {field}: images.npz" for field in row.needs)
    path.write_text(SPEC.format(name=row.name, classes=classes, needs=needs), encoding="utf-8")
    return path


@cache
def compiled(folder: Path, name: str) -> Compiled:
    row = DATASETS[name]
    return compile_spec(write_spec(folder, row, 7 if row.num_classes is None else None))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("datasets")
    (folder / ".wavetwin.toml").touch()
    return folder


def docs_cells(row: Dataset) -> Iterator[str]:
    """Yield what the row's cells in docs/data.md have to say, behind its name."""
    nowhere = "" if row.package is None else f"nothing: it comes with {row.package.name}"
    yield " or ".join(f"`{each}`" for each in row.locations) or nowhere
    yield "" if row.num_classes is None else f"{row.num_classes:,}"
    each = "" if row.train_per_class is None else f"{row.train_per_class} of each class, "
    yield each + ("all" if row.training_images is None else f"{row.training_images:,}")
    yield "all" if row.test_images is None else f"{row.test_images:,}"
    of_each = " of each class" * row.per_class
    yield f"{row.validation:,}{of_each}" if row.validation else "none"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_has_its_line_in_the_docs(row: Dataset) -> None:
    text = (ROOT / "docs/data.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith(f"| `{row.name}` |")]
    assert len(lines) == 1, f"docs/data.md has no line for {row.name}"
    assert [cell.strip() for cell in lines[0].strip("|").split("|")][1:] == list(docs_cells(row))


def test_the_schema_of_editors_has_every_row() -> None:
    document = json.loads((ROOT / "wavetwin/spec.schema.json").read_text(encoding="utf-8"))
    assert f'"enum": {json.dumps(list(DATASETS))}' in json.dumps(document)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_another_number_of_classes_is_refused(folder: Path, row: Dataset) -> None:
    wrong = None if row.num_classes is None else row.num_classes + 1
    with pytest.raises(CompileError) as refused:
        compile_spec(write_spec(folder, row, wrong))
    code = "num-classes-missing" if wrong is None else "num-classes-wrong"
    (diagnostic,) = refused.value.diagnostics
    assert diagnostic.code == code
    assert row.name in diagnostic.headline


@pytest.mark.parametrize("row", LAID_OUT, ids=lambda row: row.name)
def test_what_is_not_there_is_refused_and_said_how_to_get(tmp_path: Path, row: Dataset) -> None:
    plan = make_plan(dataset=row.name, num_classes=row.num_classes or 7, channels=row.channels)
    with pytest.raises(RunError) as refused:
        find_images(plan.data, tmp_path, Official())
    assert str(tmp_path) in refused.value.headline
    assert refused.value.remedy
    complete, text = check_data(plan, tmp_path, verify=False)
    assert not complete
    assert f"how to get it: {row.how_to_get}" in text or f"help: {refused.value.remedy}" in text


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_facts_of_a_row_agree(row: Dataset) -> None:
    assert row.how_to_get
    assert (row.package is None) == bool(row.locations)
    for values in (row.mean, row.std):
        assert values is None or len(values) == row.channels
    assert row.class_names is None or len(set(row.class_names)) == row.num_classes
    known = {file.removesuffix(row.packing) for file in row.checksums}
    assert known <= set(row.files)
    assert not row.checksums or known == set(row.files)


def compared(folder: Path, before: Dataset, after: Dataset) -> Difference:
    first, second = (compiled(folder, row.name) for row in (before, after))
    return compare(Experiment("a", first), Experiment("b", second))


def test_every_ordered_pair_has_its_sentence(folder: Path) -> None:
    pairs = [*permutations(FIRST_OF_LAYOUTS, 2), *((ROWS[0], row) for row in ROWS[1:])]
    for before, after in pairs:
        found = compared(folder, before, after)
        assert any("data.dataset" in each.fields for each in found.effects)
        (row,) = (each for each in found.plan.rows if each.label == "data")
        assert row.before.startswith(f"{before.name}, ")
        assert row.after.startswith(f"{after.name}, ")
