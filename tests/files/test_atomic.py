"""Whatever is written is old or new: after a full disk, a kill, and beside another writer."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from wavetwin.files.atomic import remove_abandoned, staged, write_file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what lets every later write stop in the middle of a file."""

    def begin() -> None:
        original = os.write

        def write(descriptor: int, data: bytes) -> int:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                original(descriptor, bytes(data)[: len(data) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return original(descriptor, data)

        monkeypatch.setattr(os, "write", write)

    return begin


def test_a_full_disk_keeps_the_old_file_and_names_it(tmp_path: Path, full_disk: Callable[[], None]):
    file = tmp_path / "report.html"
    write_file(file, "old")
    full_disk()
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_file(file, "new and longer")
    assert caught.value.filename == str(file)
    assert file.read_text() == "old"
    assert names(tmp_path) == ["report.html"]


def test_of_several_files_none_is_new_before_all_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    first, second = tmp_path / "a/one", tmp_path / "two"
    with staged({first: b"old", second: b"old"}) as put:
        put(first)
        put(second)
    calls: list[int] = []
    original = os.write

    def write(descriptor: int, data: bytes) -> int:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError, match="two"), staged({first: b"new", second: b"new"}):
        pytest.fail("nothing was to be put")
    assert (first.read_bytes(), second.read_bytes()) == (b"old", b"old")
    assert (names(tmp_path), names(tmp_path / "a")) == (["a", "two"], ["one"])


def test_what_is_not_put_is_removed(tmp_path: Path):
    with staged({tmp_path / "one": b"1", tmp_path / "two": b"2"}) as put:
        put(tmp_path / "one")
    assert names(tmp_path) == ["one"]


def test_rights_links_and_devices(tmp_path: Path):
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to("file")
    write_file(link, "new")
    assert link.is_symlink()
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    write_file(Path(os.devnull), "nothing")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
    with pytest.raises(OSError, match="Is a directory"):
        write_file(tmp_path, "x")


def test_the_longest_name_can_be_written(tmp_path: Path):
    file = tmp_path / ("n" * 255)
    write_file(file, "1")
    write_file(file, "2")
    assert names(tmp_path) == [file.name]


KILLED = """
import os, signal, sys
from pathlib import Path
from wavetwin.files.atomic import staged
with staged({Path(name): b"half" for name in sys.argv[1:]}):
    print("written", flush=True)
    os.kill(os.getpid(), signal.SIGKILL if sys.argv[1].endswith("dead") else signal.SIGSTOP)
"""


def test_leftovers_of_the_dead_go_and_those_of_the_living_stay(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "dead")], capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL
    # Earlier versions named no number.
    (tmp_path / ".old.py.4194300.tmp").write_bytes(b"half")
    (tmp_path / ".notes.tmp").write_bytes(b"a user's")
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "alive")], stdout=subprocess.PIPE
    ) as alive:
        assert alive.stdout is not None
        assert alive.stdout.readline() == b"written\n"
        os.waitid(os.P_PID, alive.pid, os.WSTOPPED)  # else it would stop after being continued
        assert len(names(tmp_path)) == 4
        write_file(tmp_path / "other", "x")
        assert len(names(tmp_path)) == 5
        write_file(tmp_path / "dead", "x")  # whoever writes the same name cleans up after it
        assert [name for name in names(tmp_path) if name.startswith(".dead")] == []
        remove_abandoned(tmp_path)
        (kept,) = [name for name in names(tmp_path) if name.startswith(".alive")]
        assert names(tmp_path) == [kept, ".notes.tmp", "dead", "other"]
        alive.send_signal(signal.SIGCONT)
        assert alive.wait(30) == 0
    assert names(tmp_path) == [".notes.tmp", "dead", "other"]


def test_a_file_system_without_locks_keeps_what_may_be_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    (tmp_path / ".file.12-0.tmp").write_bytes(b"half")
    monkeypatch.setattr(fcntl, "flock", refuse)
    write_file(tmp_path / "file", "new")
    assert names(tmp_path) == [".file.12-0.tmp", "file"]
