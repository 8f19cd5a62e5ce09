"""The grammar of `wavetwin study`."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def add_study(
    parser: argparse.ArgumentParser,
    count: Callable[[str], int],
    positive: Callable[[str], int],
) -> None:
    """Add the four studies.

    Args:
        parser: of `study`.
        count: reads a whole number from 0.
        positive: reads a whole number from 1.
    """
    kinds = parser.add_subparsers(title="what to study", required=True, metavar="STUDY")

    def study(name: str, text: str) -> argparse.ArgumentParser:
        added = kinds.add_parser(name, help=text, description=text)
        added.add_argument(
            "--out", metavar="DIR", help="write tables, pictures, a page and study.json there"
        )
        added.add_argument(
            "--force", action="store_true", help="take the place of a study that is there"
        )
        added.add_argument(
            "--seed", type=count, default=0, metavar="N", help="of all that is drawn; default: 0"
        )
        added.set_defaults(command="study", study=name, format="text", strict=False)
        return added

    discrepancy = study("discrepancy", "Measure RMax against CMod, filter by filter.")
    _add_images(discrepancy, positive)
    stability = study("stability", "Measure what shifts change, filter by filter.")
    _add_images(stability, positive)
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
        help="files, or folders; the first is the standard network",
    )
    sparse.add_argument(
        "--runs", metavar="RUN", nargs="+", default=[], help="run folders to draw the errors of"
    )
    sparse.add_argument(
        "--trials", action="store_true", help="take in runs of --limit-batches, which are left out"
    )


def _add_images(parser: argparse.ArgumentParser, positive: Callable[[str], int]) -> None:
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
