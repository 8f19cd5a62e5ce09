"""`backbone.replace`: what a child says of named layers is laid on its parent's list."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import wavetwin
from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.compiler.render.spec_yaml import dump_spec
from wavetwin.diagnostics import CompileError
from wavetwin.runtime.network.build import build_module, initialise

HEAD = "wavetwin: 1\ndata: {dataset: digits}\n"
LISTED = """\
backbone:
  arch: sequential
  input: image
  layers:
    - {name: first, conv: {channels: 6, stride: 2}, norm: {}, relu: {}}
    - {name: act, relu: {}}
    - {name: pool1, pool: {kernel_size: 4}}
    - {name: joined, residual: {body: [{name: inner, conv: {channels: 6}}]}}
    - {name: vector, flatten: {}}
    - {name: scores, linear: {}}
"""
BASE = HEAD + LISTED


def written(replaced: dict[str, str]) -> str:
    """Return the base with lines written out anew, by the names of their layers."""
    lines: list[str] = [*LISTED.splitlines()]
    for name, text in replaced.items():
        (index,) = (number for number, line in enumerate(lines) if f"name: {name}," in line)
        lines[index] = text
    return HEAD + "\n".join(line for line in lines if line) + "\n"


def compiled(folder: Path, text: str, *overrides: str, **parents: str) -> Compiled:
    for name, parent in {"base": BASE, **parents}.items():
        (folder / f"{name}.yaml").write_text(parent, encoding="utf-8")
    path = folder / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    return compile_spec(path, overrides, folder)


def child(*replacements: str, parent: str = "base") -> str:
    return f"extends: {parent}.yaml\nbackbone: {{replace: {{{', '.join(replacements)}}}}}\n"


@pytest.mark.parametrize(
    ("replacement", "name", "line"),
    [
        # Another kind has channels and stride of the one before, and what follows stays.
        (
            "first: {invariant: {}}",
            "first",
            "    - {invariant: {channels: 6, stride: 2}, name: first, relu: {}, norm: {}}",
        ),
        (
            "first: {invariant: {stride: 1}, relu: null}",
            "first",
            "    - {invariant: {channels: 6, stride: 1}, name: first, norm: {}}",
        ),
        # Fields of the same kind merge.
        (
            "first: {conv: {kernel_size: 5}, gelu: {}}",
            "first",
            "    - {name: first, conv: {channels: 6, kernel_size: 5, stride: 2}, norm: {}, gelu: {}}",
        ),
        ("first: {dropout: {}}", "first", "    - {name: first, conv: {channels: 6, stride: 2}, "
         "dropout: {}, norm: {}, relu: {}}"),
        ("act: {gelu: {}}", "act", "    - {name: act, gelu: {}}"),
        ("pool1: null", "pool1", ""),
        (
            "inner: {conv: {kernel_size: 1}}",
            "joined",
            "    - {name: joined, residual: {body: [{name: inner, conv: {channels: 6, "
            "kernel_size: 1}}]}}",
        ),
    ],
    ids=lambda text: text.strip("- {"),
)  # fmt: skip
def test_a_swap_is_the_list_written_out(tmp_path: Path, replacement: str, name: str, line: str):
    swapped = compiled(tmp_path, child(replacement))
    whole = compiled(tmp_path, written({name: line}))
    assert swapped.digest == whole.digest
    assert "replace" not in swapped.resolved["backbone"]
    assert swapped.digest != compiled(tmp_path, BASE).digest
    again = compiled(tmp_path, dump_spec(swapped.resolved))
    assert again.digest == swapped.digest


def test_parents_replacements_merge_and_a_later_kind_wins(tmp_path: Path):
    parent = child(
        "first: {invariant: {mixing: learned, channels: 8}, relu: null}",
        "pool1: null",
        "joined: null",
    )
    both = compiled(
        tmp_path, child("first: {invariant: {stride: 1}}", parent="parent"), parent=parent
    )
    alone = compiled(
        tmp_path,
        child(
            "first: {invariant: {mixing: learned, channels: 8, stride: 1}, relu: null}",
            "pool1: null",
            "joined: null",
        ),
    )
    assert both.digest == alone.digest
    back = compiled(
        tmp_path,
        child(
            "first: {conv: {kernel_size: 5}}", "pool1: {pool: {kernel_size: 4}}", parent="parent"
        ),
        parent=parent,
    )
    text = "    - {name: first, conv: {channels: 8, stride: 2, kernel_size: 5}, norm: {}}"
    assert back.digest == compiled(tmp_path, written({"first": text, "joined": ""})).digest


def test_an_override_replaces(tmp_path: Path):
    by_file = compiled(tmp_path, child("first: {invariant: {}}"))
    by_option = compiled(tmp_path, BASE, "backbone.replace.first={invariant: {}}")
    assert by_option.digest == by_file.digest


def test_both_locations_are_named(tmp_path: Path):
    swapped = compiled(tmp_path, child("first: {invariant: {}}"))
    node = swapped.graph.by_id["trunk.first.invariant"]
    assert node.origin == ("base.yaml:7", "spec.yaml:2")
    with pytest.raises(CompileError) as refused:
        compiled(tmp_path, child("pool1: {pool: {padding: 3}}"))
    (fault,) = refused.value.diagnostics
    assert fault.code == "padding-too-large"
    assert fault.location is not None
    assert (fault.location.path, fault.location.line) == ("spec.yaml", 2)
    lines = {(each.location.path, each.location.line) for each in fault.origins if each.location}
    assert lines == {("spec.yaml", 2), ("base.yaml", 9)}


def test_a_swap_leaves_all_other_initial_values(tmp_path: Path):
    states: list[dict[str, torch.Tensor]] = []
    for text in (BASE, child("first: {invariant: {}, norm: null}", "joined: null")):
        found = wavetwin.compile(compiled(tmp_path, text).project / "spec.yaml")
        model = build_module(found.graph)
        initialise(model, found.graph, found.plan.seed)
        states.append(model.state_dict())
    before, after = states
    shared = before.keys() & after.keys()
    assert shared == {"trunk.scores.weight", "trunk.scores.bias"}
    assert all(torch.equal(before[name], after[name]) for name in shared)
