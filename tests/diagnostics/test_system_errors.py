"""What the system refuses: standard streams, the current folder, paths; exit code 2, no traceback."""

import ctypes
import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.built import build, write_spec
from wavetwin.commands import cli, schema
from wavetwin.diagnostics.system_errors import guard_output, is_refusal

PACKAGE = Path(cli.__file__).parents[1]
DROP_FROM_BOUNDING_SET, DAC_OVERRIDE, DAC_READ_SEARCH = 24, 1, 2
"""prctl(2) and capabilities(7)."""


def wavetwin(
    *label: str | Path, cwd: Path, before: Callable[[], None] | None = None, **streams: int
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wavetwin", *map(str, label)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    return subprocess.run(command, cwd=cwd, text=True, check=False, preexec_fn=before, **pipes)


def without_superuser_rights() -> None:
    """Let file modes count for the superuser, too, in the program that is started next."""
    library = ctypes.CDLL(None)
    for capability in (DAC_OVERRIDE, DAC_READ_SEARCH):
        library.prctl(DROP_FROM_BOUNDING_SET, capability, 0, 0, 0)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("refused")
    write_spec(folder)
    return folder


@pytest.mark.parametrize(
    "label", [("show", "small.yaml"), ("check", "--format", "json", "small.yaml"), ("schema",)]
)
def test_an_output_that_takes_nothing(project: Path, label: tuple[str, ...]) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    refused = wavetwin(*label, cwd=project, stdout=full)
    os.close(full)
    assert refused.returncode == 2
    assert refused.stderr.endswith(
        "error: output-not-taken: standard output cannot be written: No space left on device\n"
    )
    assert "Traceback" not in refused.stderr
    closed = wavetwin(*label, cwd=project, before=lambda: os.close(1))
    assert closed.returncode == 2
    assert closed.stderr.endswith("standard output cannot be written: Bad file descriptor\n")


def test_a_pipe_whose_reader_has_gone(project: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    gone = wavetwin("schema", cwd=project, stdout=writer)
    os.close(writer)
    assert (gone.returncode, gone.stderr) == (0, "")


def test_closed_and_full_standard_error(project: Path) -> None:
    assert wavetwin("check", "small.yaml", cwd=project, before=lambda: os.close(2)).returncode == 0
    full = os.open("/dev/full", os.O_WRONLY)
    assert wavetwin("check", "small.yaml", cwd=project, stderr=full).returncode == 2
    os.close(full)


def test_files_do_not_end_in_a_closed_stream(project: Path) -> None:
    """The first file that is opened would get its number, and the output after it."""

    def close_all() -> None:
        for number in range(3):
            os.close(number)

    assert wavetwin(
        "build", "--no-git", "small.yaml", cwd=project, before=close_all
    ).returncode in (
        0,
        2,
    )
    assert wavetwin("build", "--no-git", "--check", "small.yaml", cwd=project).returncode == 0


def test_the_exit_code_of_a_script_is_kept() -> None:
    def ends() -> int:
        raise SystemExit(7)

    with pytest.raises(SystemExit) as ended:
        guard_output(ends)
    assert ended.value.code == 7


@pytest.mark.parametrize(
    "label", [("check", "small.yaml"), ("runs", "list"), ("diff", "a", "b"), ("build", "/x.yaml")]
)
def test_a_current_folder_that_was_removed(tmp_path: Path, label: tuple[str, ...]) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    refused = wavetwin(*label, cwd=tmp_path, before=lambda: (os.chdir(gone), gone.rmdir())[0])
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: no-current-folder: the current folder cannot be found")
    assert "help: it was removed or replaced: change to another folder" in refused.stderr


def test_a_script_in_a_folder_that_was_removed(tmp_path: Path) -> None:
    folder = build(write_spec(tmp_path / "project")).folder
    gone = tmp_path / "gone"
    gone.mkdir()
    refused = subprocess.run(
        [sys.executable, str(folder / "train.py"), "--device", "cpu"],
        preexec_fn=lambda: (os.chdir(gone), gone.rmdir())[0],
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: no-current-folder: the current folder cannot be found")


@pytest.mark.parametrize(
    "label",
    [
        ("check", "locked"),
        ("build", "locked"),
        ("show", "locked/a.yaml"),
        ("diff", "locked", "small.yaml"),
        ("runs", "list", "--runs", "locked"),
        ("runs", "list", "--runs", "locked/x"),
        ("show", "long"),
        ("diff", "loop/x", "small.yaml"),
    ],
)
def test_a_path_that_the_system_refuses(tmp_path: Path, label: tuple[str, ...]) -> None:
    write_spec(tmp_path)
    (tmp_path / "locked/x").mkdir(parents=True)
    (tmp_path / "locked").chmod(0)
    (tmp_path / "loop").symlink_to("loop")
    given = tuple("x" * 5000 if word == "long" else word for word in label)
    done = wavetwin(*given, cwd=tmp_path, before=without_superuser_rights)
    (tmp_path / "locked").chmod(0o755)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "error: " in done.stderr


@pytest.mark.parametrize(
    ("error", "is_users"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file", "specs/a.yaml"), True),
        (PermissionError(errno.EACCES, "Permission denied", b"runs/\xff"), True),
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (FileNotFoundError(errno.ENOENT, "No such file", str(PACKAGE / "spec.schema.json")), False),
        (PermissionError(errno.EACCES, "Permission denied", str(PACKAGE / "ir/plan.py")), False),
        (FileNotFoundError(errno.ENOENT, "No such file", f"{PACKAGE}_data/x"), True),
        (OSError(errno.EBADF, "Bad file descriptor"), False),
        (OSError("no number"), False),
    ],
)
def test_our_own_files_are_our_fault(
    error: OSError,
    is_users: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(options: object) -> int:
        raise error

    monkeypatch.setattr(schema, "execute", fail)
    assert cli.main(["schema"]) == (2 if is_users else 3)
    message = capsys.readouterr().err
    assert ("error: system-refuses: " in message) == is_users
    assert ("internal-error" in message) != is_users
    assert is_refusal(error) == is_users
