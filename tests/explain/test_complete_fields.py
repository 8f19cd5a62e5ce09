"""Every field of the language has all that a field has; what one lacks is named."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT
from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.compiler.parse.compose import SourceCache, load_spec
from wavetwin.compiler.render.spec_yaml import dump_spec
from wavetwin.compiler.resolve.spec import DIGESTED
from wavetwin.compiler.schema import SpecModel
from wavetwin.compiler.schema.model import LATER
from wavetwin.compiler.validate.field_examples import ANY, example_of
from wavetwin.compiler.validate.fields import Form
from wavetwin.compiler.validate.json_schema import field_descriptions
from wavetwin.compiler.validate.spec import validate_fragment
from wavetwin.diagnostics import CompileError
from wavetwin.explain.diff.difference import Difference, Experiment, compare
from wavetwin.explain.field_text import SpecField, spec_fields
from wavetwin.ir.section import declaration_of, declared_fields
from wavetwin.ir.training import Training

LISTED = "backbone: {arch: sequential, layers: [{flatten: {}}, {linear: {}}]}\n"
RESNET = "backbone: {arch: resnet18}\ndata: {dataset: cifar10, image_size: 64}\n"
TWIN = (
    "stem: {free_channels: 52, wavelet: {levels: 2, keep: [{band: 1, channels: 12, groups: 6}]}}\n"
)
BASES = {
    "small": f"{LISTED}stem: {{free_channels: 4}}\ndata: {{dataset: digits}}\n",
    "image": LISTED.replace("arch", "input: image, arch") + "data: {dataset: digits}\n",
    "own_images": f"{LISTED}stem: {{free_channels: 4}}\ndata: {{dataset: folder, num_classes: 2, image_size: 8}}\n",
    "cnn": RESNET,
    "wavelet_pooling": f"{RESNET}pooling: {{free: wavelet}}\n",
    "mixed_pooling": f"{RESNET}pooling: {{free: wavelet, wavelet_pool: {{bands: mix}}}}\n",
    "twin": f"{RESNET}{TWIN}pooling: {{free: max_blur, wavelet: modulus}}\n",
    "real_twin": RESNET + TWIN,
    "alexnet_twin": "backbone: {arch: alexnet}\ndata: {dataset: imagenet}\n"
    f"{TWIN}pooling: {{wavelet: modulus}}\n",
}
PLAIN = {"backbone": "cnn", "stem": "twin", "pooling": "twin"}
"""The base of a section's fields, where it is not the small one."""


def kept(text: str) -> tuple[str, str]:
    return "twin", f"stem.wavelet.keep=[{{{text}}}]"


def pooled(text: str) -> tuple[str, str]:
    return "wavelet_pooling", f"pooling.wavelet_pool={{{text}}}"


def judged(text: str) -> tuple[str, str]:
    return "small", f"evaluation=[{{mode: {text}}}]"


CHANGES: dict[str, tuple[str, ...]] = {
    "backbone.input": ("image", "backbone.input=stem", "stem.free_channels=4"),
    "backbone.initial.name": ("small", "backbone.initial={name: xavier_uniform}"),
    "backbone.initial.gain": ("small", "backbone.initial={name: xavier_uniform, gain: 2}"),
    "backbone.initial.fan_in": (
        "small",
        "backbone.initial={name: xavier_uniform, fan_in: channels}",
    ),
    "stem": ("small", "stem.free_channels=8"),
    "stem.stride": ("small", "stem.stride=2"),
    "backbone.norm": ("small", "backbone.norm=batch"),
    "backbone.initial": ("small", "backbone.initial=xavier_uniform"),
    "stem.norm": ("small", "stem.norm=none"),
    "stem.free_channels": ("small", "stem.free_channels=8"),
    "stem.initial_weights.channels": (
        "small",
        "stem.initial_weights={checkpoint: a.pt, channels: [0, 1, 2, 3]}",
    ),
    "stem.wavelet": ("cnn", TWIN.strip().replace("stem: ", "stem=")),
    "stem.wavelet.transform": (
        "real_twin",
        "stem.wavelet={transform: wpt, filters: db2, keep: [{band: 1, channels: 12, groups: 3}]}",
    ),
    "stem.wavelet.levels": ("twin", "stem.wavelet.levels=3"),
    "stem.wavelet.filters": ("twin", "stem.wavelet.filters=qshift_b"),
    "stem.wavelet.parts": ("real_twin", "stem={free_channels: 40, wavelet: {parts: separate}}"),
    "stem.wavelet.keep": kept("band: 2, channels: 12, groups: 6"),
    "stem.wavelet.regularisation": ("twin", "stem.wavelet.regularisation=0.1"),
    "stem.wavelet.keep.packets": kept("packets: [1, 2, 19], channels: 12, groups: 3"),
    "stem.wavelet.keep.channels": (
        "twin",
        "stem={free_channels: 58, wavelet: {keep: [{band: 1, channels: 6, groups: 6}]}}",
    ),
    "stem.wavelet.keep.groups": kept("band: 1, channels: 12, groups: 2"),
    "pooling.blur_size": ("twin", "pooling.blur_size=4"),
    "pooling.max_kernel": ("twin", "pooling.max_kernel=2"),
    "pooling.wavelet": ("twin", "pooling.wavelet=max_blur"),
    "pooling.initial_bias": ("alexnet_twin", "pooling.initial_bias=zeros"),
    "pooling.wavelet_pool": pooled("wavelet: db2"),
    "pooling.wavelet_pool.wavelet": pooled("wavelet: db2"),
    "pooling.wavelet_pool.normalise": pooled("normalise: orthonormal"),
    "pooling.wavelet_pool.mode": pooled("wavelet: db2, mode: symmetric"),
    "pooling.wavelet_pool.size": pooled("wavelet: db2, size: full"),
    "pooling.wavelet_pool.learn": pooled("wavelet: db2, learn: lattice"),
    "pooling.wavelet_pool.mixing": ("mixed_pooling", "pooling.wavelet_pool.mixing=depthwise"),
    "pooling.wavelet_pool.bands": pooled("bands: mix"),
    "data.normalise": ("small", "data.normalise=none"),
    "data.folder": ("own_images", "data.folder=birds"),
    "data.split_list": ("own_images", "data.split_list=splits.csv"),
    "data.channels": ("own_images", "data.channels=1"),
    "data.num_classes": ("own_images", "data.num_classes=3"),
    "data.file": ("own_images", "data={dataset: arrays, folder: a, file: a.npz}"),
    "training.kernels": ("real_twin", "training.kernels=native"),
    "training.optimizer": ("small", "training.optimizer.name=adamw"),
    "training.schedule": ("small", "training.schedule.name=cosine"),
    "training.class_weights": ("small", f"training.class_weights={[0.5] * 5 + [1.5] * 5}"),
    "training.optimizer.lr": ("small", "training.optimizer.lr=0.2"),
    "training.optimizer.momentum": ("small", "training.optimizer.momentum=0.5"),
    "training.schedule.name": ("small", "training.schedule.name=cosine"),
    "training.schedule.step_epochs": ("small", "training.schedule.step_epochs=7"),
    "training.schedule.gamma": ("small", "training.schedule.gamma=0.5"),
    "evaluation": judged("ten_crops"),
    "evaluation.mode": judged("ten_crops"),
}
"""Of fields whose example does not change their section's base: a base, and what changes it."""

ELSEWHERE = {
    "backbone.layers.": "tests/ir/test_layer_kinds.py",
    "backbone.replace.": "tests/compiler/graph/test_replaced_layers.py",
    "data.augmentation.": "tests/ir/test_kinds.py",
    "data.lock.": "tests/commands/test_data_lock.py",
    "evaluation.metrics.": "tests/ir/test_kinds.py",
    "pooling.module.": "tests/compiler/resolve/test_own_code.py",
    "training.loss.": "tests/compiler/resolve/test_own_code.py",
    "weights.": "tests/compiler/resolve/test_weights.py",
}
"""Fields of a table of kinds, or that need files or code of a project, and who compares two values."""
DERIVED = {"stem.wavelet.keep.band", "stem.wavelet.exclude"}
"""Fields that resolve to others, the packets: another word for the same is no difference."""
SAYS_ITSELF = {"epochs"}
"""Fields of the training of which a sentence would repeat the row."""
SECTIONS = ("backbone", "stem", "pooling", "data", "training", "weights", "evaluation")
"""Those that a digest has."""


def once() -> list[SpecField]:
    """Return each declared field, where its path is shortest."""
    found: dict[object, SpecField] = {}
    for each in sorted(spec_fields(), key=lambda each: len(each.path)):
        found.setdefault((each.model.declared or each.model, each.path[-1]), each)
    return list(found.values())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fields")
    (folder / ".wavetwin.toml").touch()
    for name, text in BASES.items():
        (folder / f"{name}.yaml").write_text(f"wavetwin: 1\n{text}", encoding="utf-8")
    return folder


@cache
def compiled(spec: Path, *overrides: str) -> Compiled:
    return compile_spec(spec, overrides)


# What is said of a field


@cache
def pages() -> str:
    return "\n".join(page.read_text("utf-8") for page in sorted((ROOT / "docs").glob("*.md")))


@cache
def written_schema() -> dict[str, Any]:
    return json.loads((ROOT / "wavetwin/spec.schema.json").read_text("utf-8"))


def description(field: SpecField) -> str:
    try:
        return field_descriptions(field.model).get(field.path[-1], "")
    except KeyError as error:  # a declared field without one, of the same section
        return "" if error.args == (field.path[-1],) else "..."


def has_example(field: SpecField) -> bool:
    try:
        return bool(example_of(field.path))
    except LookupError:
        return False


def unsaid(field: SpecField) -> Iterator[str]:
    """Yield the texts that a field lacks."""
    name, schema = field.path[-1], written_schema()
    if not description(field):
        yield "a docstring below it"
    if not re.search(rf"`([\w.]+\.)?{name}\b[^`\n]*`|\b{name}:", pages()):
        yield "a line in a page of docs/"
    section = schema if len(field.path) == 1 else schema["$defs"][field.model.__name__]
    if not section["properties"].get(name, {}).get("description"):
        yield "an entry in wavetwin/spec.schema.json: wavetwin schema > wavetwin/spec.schema.json"
    if not has_example(field):
        yield "an example in wavetwin/compiler/validate/field_examples.py"


# Its range


def outside(form: Form) -> Iterator[Any]:
    """Yield values just outside of a form's bounds."""
    for kind, text in re.findall(r"(from|to|at least|at most|above|below) (\S+)", form.bounds):
        bound = float(text)
        value = bound + {"from": -1, "at least": -1, "to": 1, "at most": 1}.get(kind, 0)
        if form.label in ("a whole number", "a number"):
            yield int(value) if form.label == "a whole number" else value
        elif 0 <= value <= 1001:
            inner = form.item and next(iter(form.item.choices), None)
            yield "a" * int(value) if form.item is None else [inner or "a"] * int(value)
    if form.item is not None and not form.item.branches:
        yield from ([value] * (form.num_items or 1) for value in outside(form.item))


def with_value(document: Any, path: tuple[str, ...], value: Any) -> Any:
    """Return an example with another value of its field."""
    if not path:
        return value
    if path[0] == ANY and isinstance(document, list):
        return [with_value(document[0], path[1:], value)]
    key = next(iter(document)) if path[0] == ANY else path[0]
    return {**document, key: with_value(document[key], path[1:], value)}


def unrefused(field: SpecField, folder: Path) -> Iterator[str]:
    """Yield the values outside of a field's range that no message refuses."""
    for form in (field.form, *(branch for _, branch in field.form.branches)):
        for value in outside(form):
            file = folder / "_bad.yaml"
            document = with_value(example_of(field.path), field.path, value)
            file.write_text(dump_spec(document), encoding="utf-8")
            faults = validate_fragment(load_spec(file, folder, cache=SourceCache(folder)))
            if not any(
                each.location is not None and field.path[-1] in each.headline for each in faults
            ):
                yield f"a message that refuses {str(value)[:40]}"


# What a change of it does


def difference_of(field: SpecField, project: Path) -> tuple[Compiled, Compiled, Difference]:
    if field.label in CHANGES:
        base, *overrides = CHANGES[field.label]
    else:
        section, base = field.path[0], PLAIN.get(field.path[0], "small")
        overrides = [f"{section}={json.dumps(example_of(field.path)[section])}"]
    before = compiled(project / f"{base}.yaml")
    after = compiled(project / f"{base}.yaml", *overrides)
    return before, after, compare(Experiment("a", before), Experiment("b", after))


def undone(field: SpecField, project: Path) -> Iterator[str]:
    """Yield what a change of a field does not do: to a digest, or to what diff says."""
    try:
        before, after, difference = difference_of(field, project)
    except CompileError as error:
        yield f"a change that compiles, in CHANGES of this test: {error}"
        return
    changed = [
        each.name
        for each in difference.changes.fields
        if f"{'.'.join(str(part) for part in each.path if not isinstance(part, int))}.".startswith(
            f"{field.label}."
        )
    ]
    if not changed:
        yield "a change: its example changes nothing, and CHANGES of this test has none"
        return
    digest = DIGESTED.get(".".join(field.path[:2])) or DIGESTED[field.path[0]]
    name = "digest" if digest == "evaluation" else f"{digest}_digest"
    if getattr(before, name) == getattr(after, name):
        yield f"another {name} with another value"
    told = tuple(name for effect in difference.effects for name in effect.fields)
    plan = difference.plan
    if field.model.declared == (Training,) and len(field.path) == 2:
        if not plan.rows:
            yield "a row of diff"
        if not plan.notes and field.path[-1] not in SAYS_ITSELF:
            yield "a sentence of diff: its `note` in wavetwin/ir/training.py, or one of explain/diff/training.py"
    elif not (plan.rows or plan.notes or all(each.startswith(told) for each in changed)):
        yield "a sentence of diff: an effect with its key path in wavetwin/explain/diff/"


@cache
def sources() -> str:
    folders = (ROOT / "wavetwin/runtime", ROOT / "templates", ROOT / "wavetwin/compiler/render")
    return "\n".join(
        file.read_text("utf-8")
        for folder in folders
        for file in sorted(folder.rglob("*"))
        if file.suffix in (".py", ".j2")
    )


def unread(field: SpecField) -> Iterator[str]:
    """Yield that no run reads a field of the training."""
    if field.model.declared == (Training,) and not re.search(rf"\.{field.path[-1]}\b", sources()):
        yield "a reader in wavetwin/runtime/, wavetwin/compiler/render/ or templates/"


def digested(model: type[SpecModel]) -> Iterator[tuple[str, list[str]]]:
    """Yield a section's classes, and which of their fields the digests have at their defaults."""
    if not model.declared:
        known = model.model_fields.items()
        later = {name for name, each in known if LATER in each.metadata}
        absent = {name for name, each in known if not each.is_required() and each.default is None}
        yield model.__name__, [name for name, _ in known if name not in later | absent]
    for section in model.declared:
        yield (
            section.__name__,
            [
                each.name
                for each in declared_fields(section)
                if each.default is not None and not declaration_of(each).is_later
            ],
        )


def test_no_field_changes_the_digests_of_specs_from_before_it() -> None:
    """A class that is new, with its fields, is written into the file; a field of an old one is later."""
    known = json.loads((ROOT / "tests/golden/digested_fields.json").read_text("utf-8"))
    models = dict.fromkeys(each.model for each in spec_fields() if each.path[0] in SECTIONS)
    found = dict(each for model in models for each in digested(model))
    lacking = [
        f"{name}.{field} lacks `later=True`, or LATER beside its type: the digests of all specs change"
        for name, fields in found.items()
        for field in fields
        if field not in known.get(name, fields)
    ]
    lacking += [
        f'{name} lacks its line in tests/golden/digested_fields.json: "{name}": {json.dumps(fields)}'
        for name, fields in found.items()
        if name not in known
    ]
    lacking += [
        f"{name}.{field}, which digests have, is gone"
        for name, fields in known.items()
        for field in fields
        if field not in found.get(name, ())
    ]
    assert not lacking, "\n".join(lacking)


def test_every_section_is_looked_at() -> None:
    sections = dict.fromkeys(each.path[0] for each in spec_fields())
    labels = {"wavetwin", "extends", "name", "summary", "tags", "published", "lint"}
    assert {*sections} == {*SECTIONS, *labels}
    assert {section.partition(".")[0] for section in DIGESTED} == {*SECTIONS}
    known = {each.label for each in once()}
    assert {*CHANGES} <= known
    assert all((ROOT / file).is_file() for file in ELSEWHERE.values())


def is_compared_here(field: SpecField) -> bool:
    """Return whether two specs can differ by a field, and nobody else compares such."""
    return (
        len(field.form.choices) != 1
        and field.label not in DERIVED
        and not f"{field.label}.".startswith(tuple(ELSEWHERE))
    )


@pytest.mark.parametrize("section", dict.fromkeys(each.path[0] for each in spec_fields()))
def test_a_field_has_all_that_a_field_has(section: str, project: Path) -> None:
    lacking: list[str] = []
    for field in once():
        if field.path[0] != section:
            continue
        found = [*unsaid(field), *unread(field)]
        if has_example(field):
            found += unrefused(field, project)
            if section in SECTIONS and is_compared_here(field):
                found += undone(field, project)
        if found:
            lacking.append(f"{field.label} lacks {'; '.join(found)}")
    assert not lacking, "\n".join(lacking)
