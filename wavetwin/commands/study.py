"""`wavetwin study`: run one study, print its figures, and write its folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from wavetwin.commands.arguments import add_format, add_trials, count, positive
from wavetwin.commands.output import FINE, path_or_none
from wavetwin.diagnostics.terminal import say
from wavetwin.explain.text_table import align

if TYPE_CHECKING:
    from wavetwin.explain.study.result import Result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the four studies."""
    kinds = parser.add_subparsers(title="what to study", required=True, metavar="STUDY")

    def study(name: str, text: str) -> argparse.ArgumentParser:
        added = kinds.add_parser(name, help=text, description=text)
        added.add_argument(
            "--out", metavar="DIR", help="write tables, pictures, a page and study.json there"
        )
        added.add_argument("--force", action="store_true", help="replace a study that is there")
        added.add_argument(
            "--seed", type=count, default=0, metavar="N", help="of all that is drawn; default: 0"
        )
        add_format(added)
        added.set_defaults(execute=execute, study=name)
        return added

    discrepancy = study("discrepancy", "Measure RMax against CMod, filter by filter.")
    _add_images(discrepancy)
    stability = study("stability", "Measure what shifts change, filter by filter.")
    _add_images(stability)
    stability.add_argument(
        "--direction",
        choices=("horizontal", "vertical", "diagonal"),
        default="horizontal",
        help="default: horizontal",
    )
    stability.add_argument(
        "--max-shift", type=positive, metavar="N", help="in pixels, 8 at most; default: m - 1"
    )
    kernels = study("kernels", "Compare the kernels of two first layers.")
    for which in ("first", "second"):
        kernels.add_argument(
            which, metavar=which.upper(), help="a spec, a folder of generated/, or a run"
        )
        kernels.add_argument(
            f"--{which}-weights",
            metavar="FILE",
            help=f"the {which} one's, from wherever; default: a run's last, else the initial ones",
        )
        kernels.add_argument(
            f"--{which}-state-dict",
            metavar="KEY",
            help="which of that file's state dicts, as --state-dict of `wavetwin evaluate`",
        )
    kernels.add_argument(
        "--side", type=positive, metavar="N", help="taps of the windows; default: the smaller one"
    )
    sparse = study("sparse", "Count the trained weights of first layers.")
    sparse.add_argument(
        "specs",
        metavar="SPEC",
        nargs="+",
        help="files, or folders; the first of an architecture is the standard network",
    )
    sparse.add_argument(
        "--runs", metavar="RUN", nargs="+", default=[], help="run folders to draw the errors of"
    )
    add_trials(sparse)


def _add_images(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--images",
        metavar="PATH",
        nargs="+",
        default=[],
        help="image files, or folders of them; default: 28 windows of bundled photographs",
    )
    parser.add_argument("--limit-images", type=positive, metavar="N", help="the first N only")
    parser.add_argument(
        "--levels",
        type=int,
        choices=(1, 2, 3, 4),
        nargs="+",
        default=[2, 3],
        metavar="J",
        help="of the packets; default: 2 3",
    )
    parser.add_argument(
        "--filters", default="qshift_b", metavar="NAME", help="q-shift filters; default: qshift_b"
    )
    parser.add_argument(
        "--gratings",
        type=_sigma,
        metavar="SIGMA",
        help="take gratings under a Gaussian window of so many pixels instead of the packets",
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, mps; default: cpu")


def _sigma(text: str) -> float:
    fault = argparse.ArgumentTypeError(f"must be a number from 0.5 to 100, not {text!r}")
    try:
        value = float(text)
    except ValueError:
        raise fault from None
    if not 0.5 <= value <= 100:
        raise fault
    return value


def execute(options: argparse.Namespace) -> int:
    """Run the study that was asked for; print its figures, and write its folder.

    Raises:
        RunError: an image, a run or a folder cannot be used.
        CompileError: a spec is at fault.
    """
    from wavetwin.explain.study.folder import check_folder, write_study

    folder = path_or_none(options.out)
    if folder is not None:
        check_folder(folder, force=options.force)
    result = _measure(options)
    say(_as_text(result))
    if folder is not None:
        write_study(folder, result, options.given, options.seed)
        say(f"\nstudy: {folder}\n")
    return FINE


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
        rows = table.as_text()
        numeric = {
            column
            for column in range(len(table.columns))
            if all(isinstance(row[column], int | float) for row in table.rows)
        }
        lines += ["", table.caption, *align(rows, right=numeric)]
    return "\n".join(lines) + "\n"
