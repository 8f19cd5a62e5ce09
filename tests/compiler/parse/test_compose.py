"""Inheritance, overrides, projects: which files make a spec, and what their merge is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.shipped import ROOT
from wavetwin.commands import cli
from wavetwin.compiler.parse.compose import MAX_PARENTS, LoadedSpec, SourceCache, load_spec
from wavetwin.compiler.parse.nodes import to_plain
from wavetwin.compiler.parse.parents import suggest_starter
from wavetwin.compiler.parse.project import expand_specs, find_project, is_fragment
from wavetwin.diagnostics import CompileError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".wavetwin.toml").touch()
    return tmp_path


def write(project: Path, **texts: str) -> None:
    for name, text in texts.items():
        path = project / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def load(project: Path, name: str = "spec", overrides: tuple[str, ...] = ()) -> LoadedSpec:
    return load_spec(project / f"{name}.yaml", project, overrides)


def codes(loaded: LoadedSpec) -> list[str]:
    return [each.code for each in loaded.diagnostics]


def test_mappings_merge_and_everything_else_replaces(project: Path):
    write(
        project,
        spec="extends: base.yaml\na: {b: {c: 3}, l: [9]}\ne: {f: 1}\ng: 2\n",
        base="a: {b: {c: 1, d: 2}, l: [1, 2]}\ne: text\ng: {h: 1}\n",
    )
    loaded = load(project)
    assert codes(loaded) == []
    assert to_plain(loaded.tree) == {"a": {"b": {"c": 3, "d": 2}, "l": [9]}, "e": {"f": 1}, "g": 2}
    assert loaded.origin("a.b.c") == "spec.yaml:2"
    assert loaded.origin("a.b.d") == "base.yaml:1"
    assert loaded.origin("a.b.x") is None


def test_null_removes_what_is_inherited_and_can_be_set_again(project: Path):
    write(
        project,
        base="a: {b: {c: 1, d: 2}}\n",
        without="extends: base.yaml\na: {b: null}\n",
        spec="extends: without.yaml\na: {b: {c: 5}}\n",
    )
    assert to_plain(load(project, "without").tree) == {"a": {}}
    assert not load(project, "without").has("a.b")
    assert to_plain(load(project).tree) == {"a": {"b": {"c": 5}}}


def test_later_parents_win_each_with_its_own_first(project: Path):
    write(
        project,
        root="x: root\ny: root\nz: root\nw: root\n",
        left="extends: root.yaml\nx: left\ny: left\n",
        right="extends: root.yaml\ny: right\n",
        spec="extends: [left.yaml, right.yaml]\nz: spec\n",
    )
    loaded = load(project)
    # right brings root's x again, and comes after left
    assert to_plain(loaded.tree) == {"x": "root", "y": "right", "z": "spec", "w": "root"}
    assert [path.stem for path in loaded.files] == ["root", "left", "right", "spec"]


def test_overrides_are_the_last_layers_in_their_order(project: Path):
    write(project, spec="a: {b: 1, c: 2}\n")
    loaded = load(project, overrides=("a.b=3", "a.b=4", "a.c=null", "d.e={f: 1}"))
    assert codes(loaded) == []
    assert to_plain(loaded.tree) == {"a": {"b": 4}, "d": {"e": {"f": 1}}}
    assert loaded.origin("a.b") == "--set[2]:1"
    assert loaded.overrides == ("a.b=3", "a.b=4", "a.c=null", "d.e={f: 1}")


def test_each_file_is_parsed_once(project: Path):
    for number in range(20):
        parents = f"extends: [p{number + 1}.yaml, p{number + 1}.yaml]\n" if number < 19 else ""
        write(project, **{f"p{number}": f"{parents}v{number}: 1\n"})
    cache = SourceCache(project)
    loaded = load_spec(project / "p0.yaml", project, (), cache)
    assert len(to_plain(loaded.tree)) == 20
    assert cache.num_parses == 20
    load_spec(project / "p1.yaml", project, (), cache)
    assert cache.num_parses == 20


def test_cycles_are_reported_and_the_rest_is_read(project: Path):
    write(project, spec="extends: [a.yaml, c.yaml]\n", a="extends: b.yaml\nx: 1\n")
    write(project, b="extends: a.yaml\ny: 1\n", c="extends: c.yaml\nz: 1\n")
    loaded = load(project)
    assert codes(loaded) == ["extends-cycle", "extends-cycle"]
    assert [str(each.location) for each in loaded.diagnostics] == ["b.yaml:1:10", "c.yaml:1:10"]
    assert to_plain(loaded.tree) == {"x": 1, "y": 1, "z": 1}


def test_parents_are_relative_to_their_own_file(project: Path):
    write(project, **{"specs/deep/spec": "extends: ../base/a.yaml\n", "specs/base/a": "x: 1\n"})
    loaded = load(project, "specs/deep/spec")
    assert codes(loaded) == []
    assert loaded.display_path == "specs/deep/spec.yaml"


def test_parents_stay_in_the_project_symbolic_links_resolved(project: Path):
    inside = project / "inside"
    inside.mkdir()
    (project / "outside.yaml").write_text("x: 1\n", encoding="utf-8")
    (inside / "link.yaml").symlink_to(project / "outside.yaml")
    (inside / "folder").symlink_to(project)
    for parent in (
        "../outside.yaml",
        "link.yaml",
        "folder/outside.yaml",
        "../inside/../outside.yaml",
    ):
        (inside / "spec.yaml").write_text(f"extends: {parent}\n", encoding="utf-8")
        loaded = load_spec(inside / "spec.yaml", inside)
        assert codes(loaded) == ["extends-leaves-project"]
        assert to_plain(loaded.tree) == {}


@pytest.mark.parametrize(
    ("parent", "code"),
    [
        ("missing.yaml", "extends-not-found"),
        (".", "extends-not-found"),
        ('"a\\0b"', "extends-not-found"),
        ("x" * 5000, "extends-not-found"),
        ("/etc/passwd", "extends-absolute-path"),
        ("~/spec.yaml", "extends-not-found"),
        ("loop.yaml", "extends-not-found"),
        ("pipe", "extends-not-found"),
    ],
)
def test_parents_that_cannot_be_read(project: Path, parent: str, code: str):
    (project / "loop.yaml").symlink_to(project / "loop.yaml")
    os.mkfifo(project / "pipe")
    write(project, spec=f"extends: {parent}\n")
    assert codes(load(project)) == [code]


def test_a_starter_is_a_parent_in_any_project_by_its_own_name(project: Path):
    write(project, spec="extends: [wavetwin:digits/twin.yaml, own.yaml]\n", own="tags: [a]\n")
    loaded = load(project)
    assert codes(loaded) == []
    assert loaded.origin("stem.free_channels") == "wavetwin:digits/twin.yaml:6"
    assert loaded.origin("training.epochs") == "wavetwin:base/digits.yaml:29"
    assert loaded.origin("tags") == "own.yaml:1"
    assert loaded.files == (
        ROOT / "specs/base/digits.yaml",
        ROOT / "specs/digits/twin.yaml",
        project / "own.yaml",
        project / "spec.yaml",
    )


def test_in_wavetwins_own_repository_a_starter_is_a_file_of_the_project():
    cache = SourceCache(ROOT)
    assert cache.display(ROOT / "specs/digits/twin.yaml") == "specs/digits/twin.yaml"
    nested = SourceCache(ROOT.parent)  # a project that the checkout lies in
    assert nested.display(ROOT / "specs/digits/twin.yaml") == "wavetwin:digits/twin.yaml"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("wavetwin:resnet34/RwyI", "wavetwin:resnet34/RwyI.yaml"),
        ("wavetwin:alexnet/RwyI.yaml", "wavetwin:resnet34/RwyI.yaml"),
        ("wavetwin:alexnet/AwyI_mdo.yaml", "wavetwin:alexnet/AwyI_mod.yaml"),
    ],
)
def test_a_starter_that_was_meant_is_named(text: str, meant: str):
    assert suggest_starter(text) == f"did you mean '{meant}'?"


def test_faults_of_parents_are_found_once_and_before_the_files_own(project: Path):
    write(project, base="a: 1\na: 2\n", spec="extends: [base.yaml, base.yaml]\nb: 1\nb: 2\n")
    assert [str(each.location) for each in load(project).diagnostics] == [
        "base.yaml:2:1",
        "spec.yaml:3:1",
    ]


def test_the_length_of_a_chain_is_bounded(project: Path):
    for number in range(MAX_PARENTS + 5):
        write(project, **{f"p{number}": f"extends: p{number + 1}.yaml\n"})
    assert codes(load(project, "p0")) == ["too-many-parents"]
    many = ", ".join(f"q{number}.yaml" for number in range(MAX_PARENTS + 5))
    for number in range(MAX_PARENTS + 5):
        write(project, **{f"q{number}": "x: 1\n"})
    write(project, spec=f"extends: [{many}]\n")
    assert codes(load(project)) == ["too-many-parents"]


def test_a_spec_that_cannot_be_read_is_an_error(project: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(CompileError) as caught:
        load(project, "missing")
    assert [each.code for each in caught.value.diagnostics] == ["file-not-found"]
    write(project, spec="x: 1\n")

    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CompileError) as caught:
        load(project)
    assert [each.code for each in caught.value.diagnostics] == ["file-unreadable"]
    assert caught.value.diagnostics[0].subject == "spec.yaml"


def test_the_project_is_the_nearest_marked_folder(tmp_path: Path):
    spec = tmp_path / "a" / "b" / "spec.yaml"
    spec.parent.mkdir(parents=True)
    spec.touch()
    (tmp_path / ".git").mkdir()
    assert find_project(spec) == tmp_path
    pyproject = tmp_path / "a" / "pyproject.toml"
    pyproject.write_text("[tool.other]\nwavetwin = 1\n", encoding="utf-8")
    assert find_project(spec) == tmp_path
    pyproject.write_text("[tool.wavetwin]\n", encoding="utf-8")
    assert find_project(spec) == tmp_path / "a"
    (spec.parent / ".wavetwin.toml").touch()
    assert find_project(spec) == spec.parent
    assert find_project(spec.parent) == spec.parent


def test_a_project_file_that_cannot_be_read_is_an_error(tmp_path: Path):
    (tmp_path / "pyproject.toml").write_text("[tool.wavetwin\n", encoding="utf-8")
    with pytest.raises(CompileError, match="bad-project-file"):
        find_project(tmp_path / "spec.yaml")


def test_a_folder_means_its_specs_without_fragments(project: Path):
    for name in (
        "specs/b",
        "specs/a/x",
        "specs/base/part",
        "specs/_draft",
        "specs/_parts/part",
        "specs/a/base/part",
        "specs/.hidden/x",
        "generated/x/spec.lock",
        "specs/generated/x",
    ):
        write(project, **{name: "wavetwin: 1\n"})
    (project / "specs" / "notes.yml").touch()
    relative = [path.relative_to(project).as_posix() for path in expand_specs([project])]
    assert relative == ["specs/a/x.yaml", "specs/b.yaml", "specs/generated/x.yaml"]
    named = [project / "specs/_draft.yaml", project / "specs/b.yaml", project / "specs"]
    assert [path.name for path in expand_specs(named)] == [
        "_draft.yaml",
        "b.yaml",
        "x.yaml",
        "x.yaml",
    ]
    assert len(expand_specs([project / "specs" / "base"])) == 1
    assert is_fragment(project / "specs/base/part.yaml", project)
    assert is_fragment(project / "specs/_parts/part.yaml", project)
    assert not is_fragment(project / "specs/a/x.yaml", project)
    assert not is_fragment(project / "base.yaml", project)


def test_paths_that_mean_nothing_are_reported_together(project: Path):
    (project / "empty").mkdir()
    with pytest.raises(CompileError) as caught:
        expand_specs([project / "empty", project / "missing.yaml"])
    assert [each.code for each in caught.value.diagnostics] == ["no-specs", "file-not-found"]


@pytest.mark.parametrize(
    "name", ["x" * 300 + ".yaml", "y/" * 3000 + "x.yaml", "x" * 300 + "/a.yaml"]
)
def test_a_path_longer_than_the_system_takes_is_refused(
    project: Path, name: str, capsys: pytest.CaptureFixture[str]
):
    write(project, spec=f"extends: {name}\n", fine="wavetwin: 1\n")
    assert codes(load(project)) == ["extends-not-found"]
    with pytest.raises(CompileError) as caught:
        expand_specs([project / name])
    assert [each.code for each in caught.value.diagnostics] == ["file-not-found"]
    fine = str(project / "fine.yaml")
    for arguments in (
        ["check", name],
        ["check", fine, "--project", name],
        ["show", name],
        ["build", str(ROOT / "specs/alexnet/AI.yaml"), "--no-git", "--out", str(project / name)],
        ["report", name],
    ):
        assert cli.main(arguments) == 2, arguments
        assert "internal-error" not in capsys.readouterr().err


def test_a_folder_that_cannot_be_read_is_told(project: Path, monkeypatch: pytest.MonkeyPatch):
    write(project, **{"shut/a": "x: 1\n", "spec": "extends: shut/a.yaml\n", "b": "y: 1\n"})
    real_scandir, real_stat = os.scandir, Path.stat

    def scandir(path: str | Path = "."):
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied", str(path))
        return real_scandir(path)

    def stat(path: Path, **options: bool):
        if path.parent.name == "shut":
            raise PermissionError(13, "Permission denied", str(path))
        return real_stat(path, **options)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(os, "listdir", lambda path: [each.name for each in scandir(path)])
    monkeypatch.setattr(Path, "stat", stat)
    # a spec that is left out without a word would be one that is not checked
    with pytest.raises(CompileError) as caught:
        expand_specs([project])
    assert [each.code for each in caught.value.diagnostics] == ["file-unreadable"]
    assert str(caught.value.diagnostics[0].subject).endswith("shut")
    (fault,) = load(project).diagnostics
    assert (fault.code, fault.headline) == (
        "extends-not-found",
        "'shut/a.yaml' cannot be read: Permission denied",
    )
