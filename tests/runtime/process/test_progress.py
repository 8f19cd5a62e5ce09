"""Progress: bars on a terminal, plain lines elsewhere, and what is missing is said."""

import importlib.util
import os
import pty
import select
import sys
from collections.abc import Iterator

import pytest

from wavetwin.runtime.process import progress
from wavetwin.runtime.process.progress import ProgressReport


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    progress._has_rich.cache_clear()
    yield
    progress._has_rich.cache_clear()


def without(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == missing else find(name)
    )


def report(is_shown: bool = True) -> None:
    with ProgressReport("training small", 3, is_shown=is_shown) as shown:
        for number in range(3):
            shown.advance(4, f"epoch {number}")
            shown.say(f"after {number}")


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what a report writes to a terminal."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setenv("TERM", "xterm")
        report()
        terminal.flush()
        pieces: list[bytes] = []
        # A terminal hands out a few kilobytes at a time.
        while select.select([ours], [], [], 0.2)[0]:
            pieces.append(os.read(ours, 100_000))
    os.close(ours)
    return b"".join(pieces).decode()


def test_lines_off_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    report()
    lines = capsys.readouterr().out.split("\n")
    assert "\r" not in "".join(lines)
    assert lines[0].startswith("training small: 1/3  epoch 0  ")
    assert lines[1] == "after 0"
    assert len(lines) == 7


def test_lines_come_at_intervals(capsys: pytest.CaptureFixture[str]) -> None:
    report()
    assert capsys.readouterr().out == "after 0\nafter 1\nafter 2\n"


def test_a_process_that_does_not_speak(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    report(is_shown=False)
    assert capsys.readouterr().out == ""


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    text = on_a_terminal(monkeypatch)
    assert "3/3" in text
    assert "after 2" in text
    assert "rich is not installed" not in text


def test_without_rich_a_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "rich")
    text = on_a_terminal(monkeypatch)
    assert text.replace("\r\n", "\n") == (
        "rich is not installed: progress is shown as plain lines\nafter 0\nafter 1\nafter 2\n"
    )


def test_output_that_is_lost_is_noted_by_who_outlives_it(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        with pytest.raises(BrokenPipeError), ProgressReport("evaluating", 3) as shown:
            shown.say("a")
        with ProgressReport("training", 3, outlives_output=True) as shown:
            shown.say("a")
            assert isinstance(shown.lost, BrokenPipeError)
            shown.say("b")
