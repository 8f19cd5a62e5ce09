"""The course of a sweep: decisions depend on results, not on when and in which order they arrive."""

from __future__ import annotations

import json
import random
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from wavetwin.compiler.sweep import space
from wavetwin.compiler.sweep.members import CheckedPoint, CheckedSweep, check_sweep
from wavetwin.diagnostics import DiagnosticError
from wavetwin.ir.sweeps.objectives import OBJECTIVES, Objective
from wavetwin.runtime.process.errors import RunError
from wavetwin.sweep.course import Course
from wavetwin.sweep.drive import Driver, make_course
from wavetwin.sweep.members import Member, Members
from wavetwin.sweep.result_table import best_point, result_table
from wavetwin.sweep.results import Results

HEAD = "wavetwin_sweep: 1\nbase: cnn.yaml\nobjective: validation.loss\n"
SPACE = """
space:
  training.optimizer.lr: {grid: [0.0316, 0.1, 0.316, 1.0]}
  training.optimizer.momentum: {grid: [0.0, 0.5, 0.9]}
"""
ASHA = (
    SPACE + "budget: {max_epochs: 8, grace_epochs: 2, reduction: 2}\nscheduler: asha\nparallel: 3\n"
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # What stands for points of tpe is checked elsewhere.
    monkeypatch.setattr(space, "NUM_SAMPLES", 2)
    (tmp_path / ".wavetwin.toml").touch()
    (tmp_path / "cnn.yaml").write_text("extends: wavetwin:digits/cnn.yaml\n", encoding="utf-8")
    return tmp_path


def check(project: Path, text: str) -> CheckedSweep:
    file = project / "a.sweep.yaml"
    file.write_text(HEAD + text, encoding="utf-8")
    return check_sweep(file)


def loss(member: Member, epoch: int) -> float:
    """A score that falls with the epochs to a floor of the member's own."""
    floor = random.Random(member.label).random() + 0.01 * member.seed
    return floor + 1 / (epoch + 1)


class FakeEngine:
    """Trains in no time, in any order, and writes what a run writes; notes each epoch that is trained."""

    def __init__(self, order: int, room: int = 2) -> None:
        self._random, self._room = random.Random(order), room
        self._running: list[tuple[Member, int]] = []
        self.trained: list[tuple[str, int]] = []
        self.fault = "not-finite"
        self.ends: Callable[[Member], int] = lambda member: member.plan.epochs
        self.fails: Callable[[Member, int], bool] = lambda member, epoch: False
        self.kills: Callable[[Member, int], bool] = lambda member, epoch: False

    @property
    def has_room(self) -> bool:
        return len(self._running) < self._room

    @property
    def running(self) -> Sequence[Member]:
        return [member for member, _ in self._running]

    def start(self, member: Member, folder: Path, until: int) -> None:
        self._running.append((member, until))

    def ended(self) -> Sequence[tuple[Member, int]]:
        member, until = self._running.pop(self._random.randrange(len(self._running)))
        return [(member, self._train(member, until))]

    def _train(self, member: Member, until: int) -> int:
        run, last = member.run, self.ends(member)
        until = min(until, last)
        run.mkdir(parents=True, exist_ok=True)
        with (run / "metrics.jsonl").open("a+", encoding="utf-8") as metrics:
            metrics.seek(0)
            done = len(metrics.readlines())
            for epoch in range(done + 1, until + 1):
                if self.kills(member, epoch):
                    self._write_status(member, "running")
                    return -9
                if self.fails(member, epoch):
                    self._write_status(member, "failed", self.fault)
                    return 2
                self.trained.append((member.text, epoch))
                validation = {"loss": loss(member, epoch), "top1_error": 0.5}
                line = {"kind": "epoch", "epoch": epoch, "validation": validation}
                line |= {"train": None, "time": {"seconds": 0.0}}
                metrics.write(f"{json.dumps(line)}\n")
        self._write_status(member, "finished" if until == last else "stopped")
        return 0

    def _write_status(self, member: Member, status: str, fault: str | None = None) -> None:
        file = member.run / "manifest.json"
        lives = json.loads(file.read_text(encoding="utf-8"))["lives"] if file.is_file() else []
        lives.append({"outcome": status} | ({} if fault is None else {"fault": fault}))
        manifest = {
            "wavetwin_run": 1,
            "name": member.plan.name,
            "run": member.run.name,
            "status": status,
            "digest": member.plan.digest,
            "training_digest": member.plan.training_digest,
            "seed": member.seed,
            "commit": None,
            "dirty": False,
            "drift": [],
            "build_manifest_sha256": None,
            "parameters": {},
            "macs": 0,
            "training_seconds": None,
            "lives": lives,
        }
        file.write_text(json.dumps(manifest), encoding="utf-8")

    def stop(self) -> None:
        self._running.clear()

    def log(self, member: Member) -> Path:
        return member.run / "log"


class WithoutBuilds(Members):
    """Members that are not built: nothing of theirs is run."""

    def folder(self, member: Member) -> Path:
        return Path(member.label)


def drive(
    checked: CheckedSweep, engine: FakeEngine, runs: Path, retry: bool = False
) -> tuple[Course, list[str]]:
    said: list[str] = []
    driver = Driver(checked, WithoutBuilds(checked, runs), engine, said.append, retry)
    course, stopped_by = driver.run()
    assert stopped_by == 0
    return course, said


def table(course: Course) -> list[tuple[str, str, int]]:
    return [(each.point.label, each.state, each.epoch) for each in course.ranked()]


@pytest.mark.parametrize("scheduler", ["asha", "median"])
def test_the_order_in_which_results_arrive_changes_nothing(scheduler: str, project: Path) -> None:
    text = ASHA.replace("asha", scheduler)
    if scheduler == "median":
        text = text.replace(", reduction: 2", "")
    checked = check(project, text)
    courses: list[object] = []
    for order in range(4):
        engine = FakeEngine(order, room=1 + order)
        course, _ = drive(checked, engine, project / f"runs{order}")
        courses.append((table(course), sorted(engine.trained)))
        assert len(engine.trained) == len(set(engine.trained))
    assert all(each == courses[0] for each in courses)
    states = [state for _, state, _ in courses[0][0]]  # pyright: ignore[reportIndexIssue]
    assert {"complete", "paused"} == set(states)


def test_room_that_comes_back_is_used(project: Path) -> None:
    class Nodes(FakeEngine):
        """Has no node at first, then one; whoever asks for what has ended before is told: nothing."""

        asked = 0

        @property
        def has_room(self) -> bool:
            return self.asked > 2 and super().has_room

        def ended(self) -> Sequence[tuple[Member, int]]:
            self.asked += 1
            return super().ended() if self._running else []

    course, _ = drive(check(project, ASHA), Nodes(0, room=1), project / "runs")
    expected, _ = drive(check(project, ASHA), FakeEngine(0), project / "expected")
    assert table(course) == table(expected)


class Late(FakeEngine):
    """Lets others see what a member has written a while after it has ended, as network file systems do."""

    def ended(self) -> Sequence[tuple[Member, int]]:
        ((member, code),) = super().ended()
        hidden = member.run.with_suffix(".hidden")
        member.run.rename(hidden)
        threading.Timer(0.25, lambda: hidden.rename(member.run)).start()
        return [(member, code)]


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_seen_late_is_waited_for(fails: bool, project: Path) -> None:
    checked = check(project, "seeds: [0, 1]\nbudget: {max_epochs: 2}\n")
    engine = Late(0, room=1)
    engine.fails = lambda member, epoch: fails and member.seed == 1
    said: list[str] = []
    driver = Driver(
        checked, WithoutBuilds(checked, project / "runs"), engine, said.append, patience=60
    )
    course, _ = driver.run()
    assert [each.state for each in course.points] == ["failed" if fails else "complete"]
    assert any("has ended by exit code 0, and its run does not show it" in line for line in said)
    late = Late(0, room=1)
    driver = Driver(checked, WithoutBuilds(checked, project / "other"), late, said.append)
    with pytest.raises(RunError, match="and was trained to epoch 2"):
        driver.run()
    time.sleep(0.3)


def test_no_member_is_started_after_a_signal(project: Path) -> None:
    class Signalled(FakeEngine):
        def start(self, member: Member, folder: Path, until: int) -> None:
            super().start(member, folder, until)
            signal.raise_signal(signal.SIGTERM)

    checked = check(project, SPACE)
    engine = Signalled(0, room=12)
    said: list[str] = []
    driver = Driver(checked, WithoutBuilds(checked, project / "runs"), engine, said.append)
    assert driver.run()[1] == signal.SIGTERM
    assert len(said) == 1
    assert engine.trained == []


def test_what_was_stopped_goes_on_to_the_same_end(project: Path) -> None:
    checked = check(project, ASHA)
    whole = FakeEngine(0)
    expected, _ = drive(checked, whole, project / "whole")
    trained: list[tuple[str, int]] = []
    codes: set[str] = set()
    for session in range(40):
        engine = FakeEngine(session)
        engine.kills = lambda member, epoch, engine=engine: len(engine.trained) >= 9
        try:
            course, _ = drive(checked, engine, project / "parts")
        except RunError as error:
            codes.add(error.code)
            trained += engine.trained
            continue
        trained += engine.trained
        assert table(course) == table(expected)
        break
    assert codes == {"member-killed"}
    assert len(trained) == len(set(trained))
    assert sorted(trained) == sorted(whole.trained)
    again = FakeEngine(7)
    course, _ = drive(checked, again, project / "parts")
    assert again.trained == []
    assert table(course) == table(expected)


def test_results_are_read_without_an_engine(project: Path) -> None:
    checked = check(project, ASHA)
    course, _ = drive(checked, FakeEngine(0), project / "runs")
    shown = make_course(
        check_sweep(checked.file.path), Members(checked), Results(_objective(checked))
    )
    assert shown.advance() == []
    assert table(shown) == table(course)
    best = best_point(shown)
    assert best is not None
    scores = {
        member.label: loss(member, 8)
        for each in shown.points
        if each.state == "complete" and isinstance(each.point, CheckedPoint)
        for member in Members(checked).of(each.point)
    }
    assert best.point.label == min(scores, key=lambda label: scores[label])
    text = result_table(checked, shown)
    assert f"best      {best.point.label}: validation.loss {scores[best.point.label]:.4f}" in text


def _objective(checked: CheckedSweep) -> Objective:
    return OBJECTIVES[checked.file.spec.objective]


def test_paused_points_are_promoted_where_the_scheduler_is_taken_away(project: Path) -> None:
    first = FakeEngine(0)
    course, _ = drive(check(project, ASHA), first, project / "runs")
    paused = [each for each in course.points if each.state == "paused"]
    assert paused
    plain = SPACE + "budget: {max_epochs: 8}\n"
    second = FakeEngine(0)
    course, _ = drive(check(project, plain), second, project / "runs")
    assert {each.state for each in course.points} == {"complete"}
    assert len(first.trained) + len(second.trained) == 12 * 8
    assert not set(first.trained) & set(second.trained)


def test_more_seeds_train_only_what_is_new(project: Path) -> None:
    plain = SPACE + "budget: {max_epochs: 2}\n"
    drive(check(project, plain), FakeEngine(0), project / "runs")
    engine = FakeEngine(0)
    checked = check(project, plain + "seeds: [0, 1, 2]\n")
    course, _ = drive(checked, engine, project / "runs")
    assert len(engine.trained) == 12 * 2 * 2
    assert not any(text.endswith("seed 0") for text, _ in engine.trained)
    best = best_point(course)
    assert best is not None
    assert best.outcome is not None
    assert len(best.outcome.values) == 3
    assert "95 % interval" in result_table(checked, course)


def test_failed_members_are_results_until_they_are_tried_again(project: Path) -> None:
    checked = check(project, SPACE + "budget: {max_epochs: 2}\n")
    engine = FakeEngine(0)
    engine.fails = lambda member, epoch: "lr=1.0" in member.label and epoch == 2
    course, said = drive(checked, engine, project / "runs")
    failed = [each.point.label for each in course.points if each.state == "failed"]
    assert failed == [f"lr=1.0,momentum={momentum}" for momentum in ("0.0", "0.5", "0.9")]
    assert sum("failed after epoch 1" in line for line in said) == 3
    assert {each.epoch for each in course.points if each.state == "failed"} == {0}
    engine = FakeEngine(0)
    course, _ = drive(checked, engine, project / "runs")
    assert engine.trained == []
    engine = FakeEngine(0)
    engine.fails = lambda member, epoch: "momentum=0.9" in member.label
    course, _ = drive(checked, engine, project / "runs", retry=True)
    assert sorted(engine.trained) == [
        ("lr=1.0,momentum=0.0 seed 0", 2),
        ("lr=1.0,momentum=0.5 seed 0", 2),
    ]
    assert [each.point.label for each in course.points if each.state == "failed"] == [
        "lr=1.0,momentum=0.9"
    ]


def test_what_does_not_fit_into_a_device_is_tried_twice_and_is_a_result(project: Path) -> None:
    checked = check(project, SPACE + "budget: {max_epochs: 2}\n")
    engine = FakeEngine(0)
    engine.fault = "OutOfMemoryError"
    tries: list[str] = []

    def is_short(member: Member, epoch: int) -> bool:
        if "lr=1.0" not in member.label:
            return False
        tries.append(member.label)
        # Somebody else has the memory at the first try.
        return member.label.endswith("0.9") or tries.count(member.label) == 1

    engine.fails = is_short
    course, said = drive(checked, engine, project / "runs")
    failed = [each.point.label for each in course.points if each.state == "failed"]
    assert failed == ["lr=1.0,momentum=0.9"]
    assert tries.count("lr=1.0,momentum=0.9") == 2
    assert sum("tried once more" in line for line in said) == 3
    assert sum("failed after epoch 0 by OutOfMemoryError" in line for line in said) == 1


def test_a_member_that_does_not_start_stops_the_sweep_with_its_log(project: Path) -> None:
    checked = check(project, SPACE)

    class Refused(FakeEngine):
        def _train(self, member: Member, until: int) -> int:
            member.run.mkdir(parents=True)
            self.log(member).write_text("train.py: error: data-root-unknown\n", encoding="utf-8")
            return 2

    with pytest.raises(DiagnosticError) as caught:
        drive(checked, Refused(0), project / "runs")
    (fault,) = caught.value.diagnostics
    assert fault.code == "member-not-trained"
    assert fault.notes == ("log: train.py: error: data-root-unknown",)


def test_a_point_that_stops_early_shows_the_epochs_that_it_has(project: Path) -> None:
    checked = check(project, f"{ASHA}seeds: [0, 1]\n")
    engine = FakeEngine(0)
    engine.ends = lambda member: 3 + member.seed
    course, _ = drive(checked, engine, project / "runs")
    complete = [each.epoch for each in course.points if each.state == "complete"]
    assert complete
    assert set(complete) == {4}
    assert best_point(course) is course.ranked()[0]


def test_a_full_disk_is_no_result(project: Path) -> None:
    """The sweep stops; with room again the same command trains what was cut off, its last epoch too."""
    checked = check(project, SPACE + "budget: {max_epochs: 2}\n")
    engine = FakeEngine(0)
    engine.fault = "disk-full"
    engine.fails = lambda member, epoch: len(engine.trained) > 5
    with pytest.raises(RunError) as caught:
        drive(checked, engine, project / "runs")
    assert caught.value.code == "member-not-trained"
    again = FakeEngine(0)
    course, said = drive(checked, again, project / "runs")
    assert {each.state for each in course.points} == {"complete"}
    assert not any("failed" in line for line in said)


def test_what_cannot_be_tried_again_stops_the_sweep(project: Path) -> None:
    """A run that failed before is no failure of a session that never began."""
    checked = check(project, SPACE + "budget: {max_epochs: 2}\n")
    engine = FakeEngine(0)
    engine.fails = lambda member, epoch: "lr=1.0" in member.label
    drive(checked, engine, project / "runs")

    class Refused(FakeEngine):
        def _train(self, member: Member, until: int) -> int:
            return 2

    with pytest.raises(RunError, match="could not be trained: exit code 2"):
        drive(checked, Refused(0), project / "runs", retry=True)


def test_a_run_of_another_training_is_no_result(project: Path) -> None:
    """Names of runs have eight digits of the digest; the manifest has all of them."""
    checked = check(project, SPACE + "budget: {max_epochs: 2}\n")
    drive(checked, FakeEngine(0), project / "runs")
    member = Members(checked, project / "runs").of(checked.points[0])[0]
    manifest = member.run / "manifest.json"
    text = manifest.read_text(encoding="utf-8")
    other = f"{member.plan.training_digest[:-1]}x"
    manifest.write_text(text.replace(member.plan.training_digest, other), encoding="utf-8")
    with pytest.raises(RunError) as caught:
        drive(checked, FakeEngine(0), project / "runs")
    assert caught.value.code == "run-differs"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda line: line.replace('"top1_error"', '"top2_error"'), "top1_error"),
        (lambda line: re.sub(r'"loss": [^,]*', '"loss": NaN', line), "not a finite number"),
        (lambda line: line * 2, "does not have every epoch once"),
        (lambda line: "[1]\n", "cannot be read"),
    ],
)
def test_damaged_records_are_refused_and_trained_again_elsewhere(
    change: Callable[[str], str], text: str, project: Path
) -> None:
    checked = check(project, "budget: {max_epochs: 2}\n" + SPACE.replace(", 0.5, 0.9", ""))
    drive(checked, FakeEngine(0), project / "runs")
    run = Members(checked, project / "runs").of(checked.points[0])[0].run
    metrics = run / "metrics.jsonl"
    metrics.write_text(change(metrics.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(RunError, match=text) as caught:
        drive(checked, FakeEngine(0), project / "runs")
    assert caught.value.remedy == "move the run away, and start again"
    run.rename(project / "away")
    again = FakeEngine(0)
    drive(checked, again, project / "runs")
    assert len(again.trained) == 2


def test_a_milestone_whose_state_was_lost_is_trained_again(project: Path) -> None:
    """A kill between an epoch's record and its state: the record alone is no result of a milestone."""
    checked = check(project, SPACE + "budget: {max_epochs: 2}\n")
    drive(checked, FakeEngine(0), project / "runs")
    member = Members(checked, project / "runs").of(checked.points[0])[0]
    manifest = member.run / "manifest.json"
    document = json.loads(manifest.read_text(encoding="utf-8")) | {"status": "running"}
    manifest.write_text(json.dumps(document), encoding="utf-8")
    results = Results(_objective(checked))
    assert results.of(member).value_at(1) is not None
    assert results.of(member).value_at(2) is None
    drive(checked, FakeEngine(0), project / "runs")
    assert results.of(member).value_at(2) is not None


TPE = """
search: tpe
space:
  training.optimizer.lr: {log_uniform: [0.001, 1.0]}
  training.optimizer.momentum: {grid: [0.0, 0.5, 0.9]}
  pooling.free: {choices: [max, max_blur]}
budget: {points: 15, max_epochs: 4, grace_epochs: 1, reduction: 2}
scheduler: asha
parallel: 2
"""


def test_points_of_tpe_follow_the_results_alone(project: Path) -> None:
    checked = check(project, TPE)
    first, _ = drive(checked, FakeEngine(0), project / "one")
    second, _ = drive(check_sweep(checked.file.path), FakeEngine(5, room=1), project / "two")
    assert table(first) == table(second)
    assert [each.point.label for each in first.points] == [
        each.point.label for each in second.points
    ]
    assert len(first.points) == 15
    other, _ = drive(check(project, f"{TPE}search_seed: 1\n"), FakeEngine(0), project / "three")
    assert [each.point.label for each in other.points] != [
        each.point.label for each in first.points
    ]


REFUSED = """
search: tpe
space:
  training.batch_size: {int: [32, 64]}
  training.accumulate: {choices: [2]}
budget: {points: 8, max_epochs: 2}
parallel: 2
"""


def test_a_point_of_tpe_that_does_not_compile_is_said_and_the_search_goes_on(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "NUM_SAMPLES", 0)
    checked = check(project, REFUSED)
    engine = FakeEngine(0)
    first, said = drive(checked, engine, project / "runs")
    refused = [each for each in first.points if each.state == "refused"]
    assert len(first.points) == 8
    assert 0 < len(refused) < 8
    told = [line for line in said if "does not compile, and the search goes on" in line]
    assert len(told) == len(refused)
    assert sum("batch-does-not-divide" in line for line in said) == len(refused)
    shown = result_table(checked, first)
    assert f"complete, {len(refused)} refused" in shown
    label = refused[0].point.label
    assert f"point {refused[0].number} does not compile: {label}\na.sweep.yaml:" in shown
    # It is read again from what is there, in the same way, and trained on no machine.
    second, _ = drive(check_sweep(checked.file.path), FakeEngine(3), project / "other")
    assert table(first) == table(second)
    assert not any(label in text for text, _ in engine.trained)


def test_a_point_that_is_asked_for_twice_is_trained_once(project: Path) -> None:
    text = """
search: tpe
space:
  training.optimizer.nesterov: {choices: [false, true]}
budget: {points: 2, max_epochs: 4}
search_seed: 1
"""
    checked = check(project, text)
    engine = FakeEngine(0)
    course, said = drive(checked, engine, project / "runs")
    first, second = course.points
    assert first.point is second.point
    assert len(engine.trained) == 4
    assert sum("trains to epoch 4" in line for line in said) == 1


def test_optuna_is_asked_for_only_where_something_is_decided(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    course, _ = drive(
        check(project, SPACE + "budget: {max_epochs: 2}\n"), FakeEngine(0), project / "runs"
    )
    assert len(course.points) == 12
    with pytest.raises(RunError, match="this sweep needs optuna, which is not installed"):
        drive(check(project, ASHA), FakeEngine(0), project / "runs")
