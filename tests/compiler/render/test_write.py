"""Writing builds and checking them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.compiler.render.test_render import no_git, render_spec, write_small
from tests.support.shipped import ROOT
from wavetwin.commands.specs import BuildOptions, build_specs
from wavetwin.compiler.compiled import compile_spec
from wavetwin.compiler.render.files import render
from wavetwin.compiler.render.write import BuildCheck, build_folder, check_build, write_build
from wavetwin.diagnostics import CompileError
from wavetwin.provenance.package import imported_package, load_package, sha256_of
from wavetwin.provenance.record import check_before_run


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return write_small(tmp_path / "a project", summary="first")


def build(spec: Path, *overrides: str, force: bool = False):
    folder = build_folder(compile_spec(spec, overrides))
    return write_build(render_spec(spec, *overrides), folder, force)


def check(spec: Path, *overrides: str, package=None) -> BuildCheck:
    compiled = compile_spec(spec, overrides)
    return check_build(compiled, build_folder(compiled), package)


def edit(spec: Path) -> None:
    spec.write_text(spec.read_text("utf-8").replace("first", "second"), encoding="utf-8")


def refused(spec: Path) -> tuple[str, tuple[str, ...]]:
    with pytest.raises(CompileError) as caught:
        build(spec)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic.code, diagnostic.notes


def test_a_build_is_written_and_up_to_date(spec: Path) -> None:
    assert check(spec).lines == ("missing: it was not built yet",)
    built = build(spec)
    assert built.folder == spec.parent / "generated" / "small"
    files = render_spec(spec)
    assert {path.name: path.read_bytes() for path in built.folder.iterdir()} == files
    assert built.manifest_sha256 == sha256_of(files["manifest.json"])
    assert check(spec) == BuildCheck(built.folder, ("up to date",), True)
    assert build(spec).written == ()
    assert check_before_run(built.folder / "train.py", False).drift == ()


def test_a_build_without_passes_is_told_as_one(spec: Path) -> None:
    written, optimised = (compile_spec(spec, optimise=optimise) for optimise in (False, True))
    folder = build_folder(written)
    write_build(render(written, no_git(written)), folder)
    assert check_build(written, folder).up_to_date
    assert check_build(optimised, folder).lines == ("stale: built with --no-passes",)
    write_build(render(optimised, no_git(optimised)), folder)
    assert check_build(written, folder).lines == ("stale: built without --no-passes",)


def test_overrides_have_a_folder_of_their_own(spec: Path) -> None:
    build(spec)
    compiled = compile_spec(spec, ["training.seed=3"])
    folder = build(spec, "training.seed=3").folder
    assert folder.name == f"small@seed=3-{compiled.digest[:8]}"
    assert check(spec, "training.seed=3").up_to_date
    assert check(spec).up_to_date
    assert json.loads((folder / "manifest.json").read_bytes())["overrides"] == ["training.seed=3"]


def test_a_changed_spec_makes_it_stale(spec: Path) -> None:
    build(spec)
    edit(spec)
    assert check(spec).lines == ("stale: small.yaml changed",)
    build(spec)
    assert check(spec).up_to_date


def test_a_changed_wavetwin_makes_it_stale(spec: Path, tmp_path: Path) -> None:
    build(spec)
    shutil.copytree(ROOT / "wavetwin", tmp_path / "other" / "wavetwin")
    shutil.copytree(imported_package().templates, tmp_path / "other" / "templates")
    root = tmp_path / "other" / "wavetwin"
    assert check(spec, package=load_package(root)).up_to_date
    with (root / "runtime" / "training" / "losses.py").open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")
    template = tmp_path / "other" / "templates" / "slurm.sh.j2"
    template.write_text("another\n", encoding="utf-8")
    assert check(spec, package=load_package(root)).lines == (
        "stale: wavetwin/runtime/training/losses.py changed",
        "stale: wavetwin/templates/slurm.sh.j2 changed",
    )


def test_edits_are_found_and_kept(spec: Path) -> None:
    folder = build(spec).folder
    (folder / "train.py").write_text("mine\n", encoding="utf-8")
    (folder / "evaluate.py").unlink()
    (folder / "notes.txt").write_text("mine\n", encoding="utf-8")
    assert check(spec).lines == ("edited by hand: train.py", "missing: evaluate.py")
    assert refused(spec) == ("hand-edited", ("files: train.py",))
    assert (folder / "train.py").read_text("utf-8") == "mine\n"
    assert build(spec, force=True).written == ("train.py", "evaluate.py")
    assert check(spec).up_to_date
    assert (folder / "notes.txt").exists()


def test_a_folder_that_no_build_wrote_is_kept(spec: Path) -> None:
    folder = spec.parent / "generated" / "small"
    folder.mkdir(parents=True)
    (folder / "train.py").write_text("mine\n", encoding="utf-8")
    assert refused(spec) == ("hand-edited", ("files: train.py",))


def test_an_interrupted_build_is_finished(spec: Path) -> None:
    folder = build(spec).folder
    edit(spec)
    # The manifest is written last: as after a kill just before it.
    files = render_spec(spec)
    for name in ("model.py", "train.py"):
        (folder / name).write_bytes(files[name])
    assert "manifest.json" in build(spec).written
    assert check(spec).up_to_date


def test_left_over_files_of_the_manifest_only_are_removed(spec: Path) -> None:
    folder = build(spec).folder
    manifest = json.loads((folder / "manifest.json").read_bytes())
    outside = spec.parent / "outside.py"
    for path in (folder / "old.py", outside):
        path.write_text("old\n", encoding="utf-8")
    manifest["files"] |= {"old.py": sha256_of(b"old\n"), "../../outside.py": sha256_of(b"old\n")}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert "left over: old.py" in check(spec).lines
    assert build(spec).removed == ("old.py",)
    assert outside.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"wavetwin_manifest": 1}'])
def test_a_damaged_manifest_is_an_edit(spec: Path, content: str) -> None:
    folder = build(spec).folder
    (folder / "manifest.json").write_text(content, encoding="utf-8")
    assert check(spec).lines == ("edited by hand: manifest.json",)
    assert refused(spec)[0] == "hand-edited"


def test_an_edited_manifest_is_found(spec: Path) -> None:
    folder = build(spec).folder
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["name"] = "another"
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert check(spec).lines == ("edited by hand: manifest.json",)


def test_a_folder_that_cannot_be_written(spec: Path) -> None:
    (spec.parent / "generated").write_text("a file\n", encoding="utf-8")
    code, _ = refused(spec)
    assert code == "cannot-write"


def test_building_the_lock_in_its_place_keeps_what_runs(spec: Path) -> None:
    folder = build(spec).folder
    compiled = compile_spec(folder / "spec.lock.yaml")
    assert build_folder(compiled).name == "small"
    assert compiled.digest == compile_spec(spec).digest
    assert no_git(compiled).commit is None


def test_a_folder_in_a_files_place(spec: Path) -> None:
    (build(spec).folder / "model.py").unlink()
    (spec.parent / "generated" / "small" / "model.py").mkdir()
    assert refused(spec)[0] == "cannot-write"


def test_what_did_not_change_is_not_rendered_again(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[str] = []

    def counted(compiled, *args, **kwargs):
        rendered.append(compiled.name)
        return render(compiled, *args, **kwargs)

    monkeypatch.setattr("wavetwin.compiler.render.files.render", counted)

    def build_again(**changed: bool) -> tuple[bool, int]:
        before = len(rendered)
        (built,) = build_specs([spec], replace(BuildOptions(no_git=True), **changed))
        assert built.manifest_sha256 == sha256_of((built.folder / "manifest.json").read_bytes())
        assert {*built.files} == {
            path.name for path in built.folder.iterdir() if ".edited-" not in path.name
        }
        return built.unchanged, len(rendered) - before

    assert build_again() == (False, 1)
    assert build_again() == (True, 0)
    assert build_again(force=True) == (False, 1)
    folder = build_folder(compile_spec(spec))
    (folder / "plan.json").unlink()
    assert build_again() == (False, 1)
    assert build_again(optimise=False) == (False, 1)
    assert build_again(optimise=False) == (True, 0)
    assert build_again() == (False, 1)
    (folder / "train.py").write_text("mine\n", encoding="utf-8")
    with pytest.raises(CompileError, match="hand-edited"):
        build_again()
    assert build_again(force=True) == (False, 1)
    edit(spec)
    assert build_again() == (False, 1)
    assert build_again() == (True, 0)
