"""Locks that processes hold, and file systems that have none."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from wavetwin.diagnostics.system_errors import is_refusal, refused
from wavetwin.explain.runs.index import open_index
from wavetwin.files.lock import HeldError, hold_lock


def test_the_holder_is_named_and_lets_go(tmp_path: Path) -> None:
    lock = hold_lock(tmp_path / "lock")
    with pytest.raises(HeldError, match=rf"\(process {os.getpid()} on "):
        hold_lock(tmp_path / "lock", 0.1)
    os.close(lock)
    os.close(hold_lock(tmp_path / "lock"))


def test_a_file_system_without_locks_is_no_other_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, kind: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="no locks here") as caught:
        hold_lock(tmp_path / "lock", 60)
    assert caught.value.filename == str(tmp_path / "lock")
    assert is_refusal(caught.value)
    assert refused(caught.value).help == "keep runs on a file system that has locks: --runs DIR"
    with open_index(tmp_path) as (_, messages):
        assert messages == [
            f"{tmp_path}: its file system has no locks, so the index is in memory only\n"
        ]
