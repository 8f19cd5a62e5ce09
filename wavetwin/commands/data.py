"""`wavetwin data`: say whether a spec's images are there, or lay a data set out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavetwin.commands.arguments import add_format, add_overrides
from wavetwin.commands.output import DIFFERS, FINE, compile_one, path_or_none, project_of
from wavetwin.diagnostics.terminal import say

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's actions."""
    from wavetwin.ir.datasets import DATASETS

    prepared = [row for row in DATASETS.values() if row.preparer is not None]
    unpacked = ", ".join(row.name for row in prepared if row.archives)
    kinds = parser.add_subparsers(title="what to do", required=True, metavar="ACTION")
    text = "Say what is there of a spec's images, what is missing, and how to get it."
    check = kinds.add_parser("check", help=text, description=text)
    check.add_argument("spec", metavar="SPEC", help="a spec file")
    add_overrides(check, "override a field of the spec")
    check.add_argument("--data-root", metavar="DIR", help="where the data sets lie")
    check.add_argument(
        "--verify", action="store_true", help="compare checksums and decode every image"
    )
    check.add_argument(
        "--sheet",
        metavar="FILE",
        help="write a page (.html) with the numbers and a few images of each class",
    )
    add_format(check)
    check.set_defaults(execute=_check)
    text = (
        "Lay a data set out below the data root, as the readers want it; or, of a spec with images of "
        "your own, write down which classes and how many images there are."
    )
    prepare = kinds.add_parser("prepare", help=text, description=text)
    names = sorted(row.name for row in prepared)
    prepare.add_argument(
        "subject", metavar="NAME|SPEC", help=f"{', '.join(names)}, or a spec file (.yaml)"
    )
    add_overrides(prepare, "override a field of the spec")
    prepare.add_argument("--data-root", metavar="DIR", help="where to write")
    prepare.add_argument(
        "--from", metavar="DIR", dest="archives", help=f"of {unpacked}: the official archives"
    )
    prepare.add_argument(
        "--out", metavar="FILE", help="of a spec: the lock's file; default: one beside the spec"
    )
    add_format(prepare)
    prepare.set_defaults(execute=_prepare)


def _check(options: argparse.Namespace) -> int:
    # How the images are trained with is not what was asked: `wavetwin check` says that.
    compiled, code = compile_one(options, options.spec, section="data")
    from wavetwin.commands.data_check import check_data

    root = path_or_none(options.data_root)
    complete, text = check_data(compiled.plan, root, verify=options.verify)
    say(text)
    if options.sheet is not None:
        from pathlib import Path

        from wavetwin.commands.data_check import write_sheet

        say(write_sheet(compiled.plan, root, Path(options.sheet)))
    return code or (FINE if complete else DIFFERS)


def _prepare(options: argparse.Namespace) -> int:
    from wavetwin.commands.data_check import prepare_data

    root, archives = path_or_none(options.data_root), path_or_none(options.archives)
    if options.subject.endswith((".yaml", ".yml")):
        from wavetwin.commands.data_lock import lock_images
        from wavetwin.compiler.parse.parents import spec_path

        spec, out = spec_path(options.subject), path_or_none(options.out)
        say(lock_images(spec, options.overrides, project_of(options), root, out))
        return FINE
    say(prepare_data(options.subject, root, archives))
    return FINE
