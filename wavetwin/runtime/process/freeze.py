"""Copy a built folder and the wavetwin that runs it to where no later edit reaches them.

`python -m wavetwin.runtime.process.freeze FOLDER [options of train.py]` copies to `runs/<name>/frozen/<id>/`, where
`<id>` begins the SHA-256 of the build's manifest: the same build has one copy, however often it is
submitted. The copy is a small project: `generated/<folder>/` with the scripts, `wavetwin/` with the
package (a standalone folder has its own), `runs`, a link to where runs are kept, and the file of
initial weights where the plan has one. Standard output is the path of the scripts' copy alone, for
`slurm.sh`.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from wavetwin.diagnostics.listing import list_some
from wavetwin.diagnostics.terminal import complain, hand_over
from wavetwin.files.json_text import parse_json
from wavetwin.provenance.package import digest_of, imported_package, is_inside, sha256_of
from wavetwin.provenance.record import check_before_run
from wavetwin.runtime.process.errors import RunError, write_code
from wavetwin.runtime.process.scripts import parse_arguments, project_of, run_script, runs_folder

__all__ = ["Frozen", "freeze"]

_ID_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Frozen:
    """A copy that can be run."""

    folder: Path
    """The built folder's copy, with train.py."""
    package_folder: Path | None
    """What PYTHONPATH has to begin with; None where the scripts find their own wavetwin."""
    runs: Path
    """What the scripts take as `--runs`."""

    def command(self, script: str) -> str:
        """Return the shell command that runs a script of the copy."""
        argv = [str(self.folder / script), "--runs", str(self.runs)]
        command = f"python {' '.join(map(shlex.quote, argv))}"
        if self.package_folder is None:
            return command
        return f"PYTHONPATH={shlex.quote(str(self.package_folder))} {command}"


def freeze(folder: Path, runs: Path | None = None, allow_drift: bool = False) -> Frozen:
    """Copy a built folder and what it runs with; return the copy, made before or now.

    Args:
        folder: the built folder.
        runs: where runs are kept; default: the project's.
        allow_drift: freeze it although it is not as it was built, under an id of its own.

    Raises:
        RunError: it cannot be written, or the copy of before was changed.
        CompileError: the folder or the imported wavetwin is not what was built.
    """
    folder = folder.resolve()
    provenance = check_before_run(folder / "train.py", allow_drift)
    runs = runs_folder(folder, runs)
    contents, extra = _contents(folder, list(provenance.manifest["files"]))
    frozen_id = provenance.manifest_sha256[:_ID_LENGTH]
    if provenance.drift:
        extra |= {name: sha256_of(content) for name, content in contents.items()}
    if extra:
        # The manifest does not fix these: they have a part in the name.
        frozen_id += f"-{digest_of(extra)[:8]}"
    target = runs / str(provenance.manifest["name"]) / "frozen" / frozen_id
    try:
        if not target.is_dir():
            _write(contents, target)
        _check_copy(contents, target)
    except OSError as error:
        raise RunError(
            write_code(error),
            f"cannot be written: {error.strerror or error}",
            subject=error.filename or target,
        ) from error
    copy = target / "generated" / folder.name
    return Frozen(copy, None if imported_package().is_standalone else target, runs)


def _contents(folder: Path, names: Sequence[str]) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return the copy's files by path, and the SHA-256 of those that the manifest does not fix."""
    inside = f"generated/{folder.name}"
    contents = {
        f"{inside}/{name}": (folder / name).read_bytes()
        for name in (*names, "manifest.json")
        if (folder / name).is_file()
    }
    package = imported_package()
    if not package.is_standalone:
        contents |= {name: path.read_bytes() for name, path in package.files.items()}
    extra: dict[str, str] = {}
    try:
        plan = parse_json(contents.get(f"{inside}/plan.json", b"{}"))
        initial, start = plan.get("initial_weights"), plan.get("weights") or {}
        weights = [] if initial is None else [PurePosixPath(initial["checkpoint"])]
        # What lies in `runs` is there behind the copy's link; its SHA-256 is in the plan.
        if (checkpoint := start.get("checkpoint")) and not checkpoint.startswith("runs/"):
            weights.append(PurePosixPath(checkpoint))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise RunError(
            "file-damaged", "is damaged", "build again", subject=folder / "plan.json"
        ) from error
    for name in weights:
        source = (project_of(folder) / name).resolve()
        if (
            not is_inside(str(name))
            or name.parts[0] in ("generated", "runs", "wavetwin")
            or not source.is_relative_to(project_of(folder))
        ):
            raise RunError(
                "cannot-freeze",
                f"the weights {name} lie outside the project or where the copy has something "
                "else, and cannot be frozen",
                "copy them into a folder of the project's own and name them by a relative path",
            )
        if not source.is_file():
            raise RunError(
                "file-not-found", "is not there; the training starts from it", subject=source
            )
        contents[name.as_posix()] = source.read_bytes()
        extra[name.as_posix()] = sha256_of(contents[name.as_posix()])
    return contents, extra


def _write(contents: Mapping[str, bytes], target: Path) -> None:
    """Write the copy beside its place, and move it there whole; another process may be first."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        for name, content in contents.items():
            file = temporary / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            file.chmod(0o444)
        # Three folders up from `<name>/frozen/<id>`: a script that is given no --runs finds them.
        (temporary / "runs").symlink_to("../../..")
        try:
            temporary.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_copy(contents: Mapping[str, bytes], target: Path) -> None:
    """Refuse a copy in which a file is another one, missing, or one too many.

    Byte code is dropped: jobs leave it, it is made anew, and nothing says what it was made of.
    """
    for cache in list(target.rglob("__pycache__")):
        # A job that runs from the copy may write there at this moment.
        shutil.rmtree(cache, ignore_errors=True)
    files = {
        path.relative_to(target).as_posix()
        for path in target.rglob("*")
        if not path.is_dir() and path.parent.name != "__pycache__"
    } - {"runs"}
    changed = [
        name
        for name in sorted(files | contents.keys())
        if name not in contents
        or not (target / name).is_file()
        or (target / name).read_bytes() != contents[name]
    ]
    if changed:
        raise RunError(
            "script-modified",
            f"was changed after it was frozen: {list_some(changed)}",
            "remove that folder, unless a job still runs from it, and freeze again",
            subject=target,
        )


def _main(argv: Sequence[str]) -> int:
    if not argv or argv[0].startswith("-"):
        raise RunError(
            "bad-argument",
            "the built folder is not named",
            "python -m wavetwin.runtime.process.freeze FOLDER [options of train.py]",
        )
    arguments = parse_arguments("options of train.py", training=True, arguments=argv[1:])
    frozen = freeze(Path(argv[0]), arguments.runs, arguments.allow_drift)
    complain(f"frozen; to run it:\n  {frozen.command('train.py')}\n")
    hand_over(f"{frozen.folder}\n")
    return 0


if __name__ == "__main__":
    run_script(lambda: _main(sys.argv[1:]), "text")
