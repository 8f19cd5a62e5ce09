"""`wavetwin evaluate`: run a spec's evaluation suite on weights from anywhere, without a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wavetwin
from wavetwin.commands.arguments import add_overrides, add_state_dict, count, positive
from wavetwin.commands.output import compile_one, path_or_none
from wavetwin.compiler.compiled import Compiled
from wavetwin.diagnostics.terminal import say
from wavetwin.ir.evaluations import Evaluation
from wavetwin.provenance.git_state import GitState
from wavetwin.provenance.record import Provenance, collect_provenance
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.scripts import add_compile

if TYPE_CHECKING:
    import argparse

    from torch import nn

    from wavetwin.runtime.data import ExperimentData
    from wavetwin.runtime.evaluation.entries import Baseline

__all__ = ["EvaluateOptions", "default_scores_file", "evaluate_weights"]


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What the command line says beside weights and spec."""

    out: Path | None
    """The scores file of scores; None: beside the weights."""
    device: str
    data_root: Path | None
    workers: int | None
    limit_batches: int | None
    on_bad_image: str
    allow_other_data: bool
    baseline: Path | None = None
    """A scores file of another model on the same corruptions and perturbations."""
    compile: bool = False
    """Whether the network is compiled first."""
    state_dict: str | None = None
    """Which of the file's state dicts is taken; None: the one that there is."""


def default_scores_file(weights: Path) -> Path:
    """Return where the scores of a weights file go."""
    return weights.with_name(f"{weights.name}.scores.json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "weights", metavar="WEIGHTS", help="of safetensors, torch.save or Lightning"
    )
    add_state_dict(parser)
    parser.add_argument("--spec", metavar="SPEC", required=True, help="the model's spec")
    add_overrides(parser, "override a field of the spec")
    parser.add_argument(
        "--out",
        metavar="FILE.json",
        help="the scores file that scores are added to; default: WEIGHTS.scores.json",
    )
    parser.add_argument(
        "--baseline",
        metavar="FILE.json",
        help="a scores file of another model's scores: mCE, mFR and mT5D are relative to these",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, mps; default: auto")
    parser.add_argument("--data-root", metavar="DIR", help="where the data sets lie")
    parser.add_argument(
        "--workers", type=count, metavar="N", help="processes that read image files"
    )
    parser.add_argument(
        "--limit-batches", type=positive, metavar="N", help="try out: N batches an entry"
    )
    parser.add_argument(
        "--on-bad-image",
        choices=("stop", "skip"),
        default="stop",
        help="what a damaged image does; default: stop",
    )
    parser.add_argument(
        "--allow-other-data",
        action="store_true",
        help="take files that are not the official ones, and mark the scores",
    )
    add_compile(parser)
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Evaluate a weights file and say where its scores are.

    Raises:
        CompileError: the spec is at fault.
        RunError: as of `evaluate_weights`.
    """
    compiled, code = compile_one(options, options.spec)
    wanted = EvaluateOptions(
        out=path_or_none(options.out),
        device=options.device,
        data_root=path_or_none(options.data_root),
        workers=options.workers,
        limit_batches=options.limit_batches,
        on_bad_image=options.on_bad_image,
        allow_other_data=options.allow_other_data,
        baseline=path_or_none(options.baseline),
        compile=options.compile,
        state_dict=options.state_dict,
    )
    scores_file = evaluate_weights(
        Path(options.weights), compiled, wanted, lambda line: say(f"{line}\n")
    )
    say(f"scores: {scores_file}\n")
    return code


def evaluate_weights(
    weights: Path, compiled: Compiled, options: EvaluateOptions, say: Callable[[str], None]
) -> Path:
    """Run a spec's evaluation suite on a weights file, add a record an entry to the scores file, and return it.

    Weights are this project's, or the published models' or torchvision's: every tensor has to
    agree, as with `wavetwin import weights`. An entry that fails does not keep the others from
    their scores.

    Raises:
        RunError: the weights are not of the spec's model, the images are not there, nothing compiles
            that is to be compiled, or entries failed; these are named.
        CompileError: git cannot say what the spec's commit is.
    """
    from wavetwin.runtime.data import load_data
    from wavetwin.runtime.data.class_record import check_order_beside
    from wavetwin.runtime.evaluation.compiled import (
        check_evaluation_compiler,
        compile_for_evaluation,
    )
    from wavetwin.runtime.evaluation.scores_file import add_record, data_info, read_scores
    from wavetwin.runtime.evaluation.suite import evaluate_suite
    from wavetwin.runtime.process.own_code import install_sources
    from wavetwin.runtime.process.scripts import prepare_device, surroundings
    from wavetwin.runtime.training.training_batches import place

    plan = compiled.plan
    scores_file = options.out or default_scores_file(weights)
    # Before hours of evaluation: is the scores file one, and can anything be written there?
    read_scores(scores_file)
    against: list[Mapping[str, Any] | None] = [None] * len(plan.evaluation)
    if options.baseline is not None:
        records = read_scores(options.baseline)
        against = [_find_record(entry, records, options.baseline) for entry in plan.evaluation]
        if not any(against):
            raise RunError(
                "bad-argument",
                "--baseline is for corruptions and perturbations, and the evaluation suite has none",
                "wavetwin report sets the shifts of runs against a baseline",
            )
    if not scores_file.absolute().parent.is_dir():
        raise RunError(
            "cannot-write",
            f"cannot be written: there is no folder {scores_file.parent}",
            "make it, or choose another one with --out",
            subject=scores_file,
        )
    if options.compile:
        check_evaluation_compiler()
    provenance = _provenance(compiled)
    model, info = _load(weights, compiled, options.state_dict, say)
    device = prepare_device(plan, options.device)
    data = load_data(
        plan,
        data_root=options.data_root,
        workers=options.workers,
        limit_batches=options.limit_batches,
        statistics_file=None,
        on_bad_image=options.on_bad_image,
        allow_other_data=options.allow_other_data,
        device=device,
    )
    check_order_beside(weights, data.class_names)
    baselines = [
        None if record is None else _to_baseline(record, entry, data, options)
        for record, entry in zip(against, plan.evaluation, strict=True)
    ]
    model = place(model, plan, device)
    if options.compile:
        model = compile_for_evaluation(model)
    # The plan's metrics are loaded from here, as a script loads them from the copies beside it.
    install_sources(compiled.own_code.files)
    info = {
        "digest": plan.digest,
        "training_digest": plan.training_digest,
        "model_digest": plan.model_digest,
        "spec": compiled.spec_path,
        "overrides": list(compiled.overrides),
        "options": surroundings(options.device, options.data_root, options.compile),
        "commit": provenance.commit,
        "dirty": provenance.dirty,
        "drift": [f"data-changed: {note}" for note in data.data_notes],
        "build_manifest_sha256": None,
        "package_digest": provenance.source("wavetwin").package_digest,
        **data_info(data),
        **info,
    }
    evaluate_suite(
        plan.evaluation,
        model,
        data,
        device,
        lambda entry, evaluated: add_record(scores_file, entry, evaluated, info),
        data_root=options.data_root,
        baselines=baselines,
        say=say,
    )
    return scores_file


def _find_record(
    entry: Evaluation, records: Sequence[dict[str, Any]], file: Path
) -> Mapping[str, Any] | None:
    """Return the current record of an entry that is set against a baseline; None for the others.

    Raises:
        RunError: there is none over all the images.
    """
    from wavetwin.runtime.evaluation.entries import describe
    from wavetwin.runtime.evaluation.scores_file import current_records, entry_key

    if not entry.takes_baseline:
        return None
    found = [record for record in records if record["entry"] == entry_key(entry)]
    whole = [record for record in found if record.get("limit_batches") is None]
    if not whole:
        few = "; those that are there are of a few batches" if found else ""
        raise RunError(
            "scores-missing",
            f"has no scores of '{describe(entry)}' to set others against{few}",
            "evaluate the baseline with the same entry first, and without --limit-batches",
            subject=file,
        )
    return current_records(whole)[0]


def _to_baseline(
    record: Mapping[str, Any],
    entry: Evaluation,
    data: ExperimentData,
    options: EvaluateOptions,
) -> Baseline:
    """Return a record as a baseline.

    Raises:
        RunError: it is of other files than those that the entry would be evaluated on, or these
            are not there.
    """
    from wavetwin.runtime.evaluation.entries import Baseline, describe
    from wavetwin.runtime.evaluation.entry_files import entry_fingerprint

    assert options.baseline is not None
    if record.get("files") != entry_fingerprint(entry, data, options.data_root):
        raise RunError(
            "not-comparable",
            f"the scores of '{describe(entry)}' in {options.baseline} are of other files than "
            "those that are there now: their names or sizes differ",
            "evaluate the baseline again on these files",
        )
    return Baseline(f"{options.baseline.name}, weights {record['weights'][:12]}", record["scores"])


def _provenance(compiled: Compiled) -> Provenance:
    """Return where the spec and wavetwin come from; changes are recorded, not refused."""
    git = GitState()
    has_repository = git.repository(compiled.files[-1]) is not None
    return collect_provenance(
        compiled.files, compiled.project, git, allow_dirty=True, no_git=not has_repository
    )


def _load(
    weights: Path, compiled: Compiled, key: str | None, say: Callable[[str], None]
) -> tuple[nn.Module, dict[str, Any]]:
    """Return the model with the weights, and what records say of these."""
    from wavetwin.importing.weights import (
        WeightsError,
        convert_state_dict,
        describe_not_finite,
    )
    from wavetwin.runtime.training.checkpoint import read_foreign

    foreign = read_foreign(weights, key)
    try:
        converted = convert_state_dict(compiled.graph, foreign.tensors)
    except WeightsError as error:
        subject = f"{compiled.name} ({weights})"
        raise WeightsError(subject, error.faults, error.remedy) from None
    for note in (*foreign.notes, *converted.notes):
        say(f"{weights.name}: {note}")
    if converted.not_finite:
        say(f"{weights.name}: {describe_not_finite(converted.not_finite)}")
    model = wavetwin.build_model(compiled)
    model.load_state_dict(converted.state)
    return model, {
        "weights": foreign.sha256,
        "weights_file": weights.name,
        "weights_names": converted.naming,
        "checkpoint": None,
        "epochs": None,
    }
