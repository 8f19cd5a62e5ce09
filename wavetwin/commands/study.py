"""`wavetwin study`: one study, its figures on the terminal, and its folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from wavetwin.explain.study.folder import check_folder, write_study
from wavetwin.explain.study.result import Result
from wavetwin.explain.text_table import align

__all__ = ["study_command"]


def study_command(options: argparse.Namespace) -> str:
    """Run the study that was asked for; return its figures as text.

    Raises:
        RunError: an image, a run or a folder cannot be used.
        CompileError: a spec is at fault.
    """
    folder = None if options.out is None else Path(options.out)
    if folder is not None:
        check_folder(folder, force=options.force)
    result = _measure(options)
    text = _as_text(result)
    if folder is None:
        return text
    write_study(folder, result, options.given, options.seed)
    return f"{text}\nstudy: {folder}\n"


def _measure(options: argparse.Namespace) -> Result:
    match options.study:
        case "kernels":
            from wavetwin.explain.study.kernel_study import KernelOptions, study_two_layers

            weights = [
                None if text is None else Path(text)
                for text in (options.first_weights, options.second_weights)
            ]
            return study_two_layers(
                KernelOptions(
                    sources=(Path(options.first), Path(options.second)),
                    weights=(weights[0], weights[1]),
                    state_dicts=(options.first_state_dict, options.second_state_dict),
                    side=options.side,
                    seed=options.seed,
                )
            )
        case "sparse":
            from wavetwin.explain.study.sparse_study import study_sparse

            return study_sparse(
                list(map(Path, options.specs)), list(map(Path, options.runs)), options.trials
            )
        case _:
            return _measure_images(options)


def _measure_images(options: argparse.Namespace) -> Result:
    from wavetwin.explain.study.image_studies import study_discrepancy, study_stability
    from wavetwin.explain.study.setting import ImageOptions

    wanted = ImageOptions(
        images=tuple(map(Path, options.images)),
        limit_images=options.limit_images,
        levels=tuple(dict.fromkeys(options.levels)),
        filters=options.filters,
        gratings=options.gratings,
        device=options.device,
        seed=options.seed,
    )
    if options.study == "discrepancy":
        return study_discrepancy(wanted)
    return study_stability(wanted, options.direction, options.max_shift)


def _as_text(result: Result) -> str:
    lines = [result.title]
    for table in result.summaries:
        rows = table.label()
        numeric = {
            column
            for column in range(len(table.columns))
            if all(isinstance(row[column], int | float) for row in table.rows)
        }
        lines += ["", table.caption, *align(rows, right=numeric)]
    return "\n".join(lines) + "\n"
