"""`wavetwin show`: print what one spec is, and draw pictures of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from wavetwin.commands.arguments import add_no_passes, add_specs
from wavetwin.commands.output import compile_one
from wavetwin.diagnostics import CompileError, Diagnostic
from wavetwin.diagnostics.terminal import as_json, complain, say
from wavetwin.files.atomic import write_file

if TYPE_CHECKING:
    from wavetwin.compiler.compiled import Compiled
    from wavetwin.explain.pictures.shapes import Drawing

TABLE_ONLY = "-"
"""The value of `--packets` without a file."""
OWN, SOURCE = "own", "source"
"""The values of `--counting`."""

_RASTER = "PNG"
"""The form that Pillow writes; the others are matplotlib's."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_specs(parser, several=False)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    passes = parser.add_mutually_exclusive_group()
    passes.add_argument("--passes", action="store_true", help="what each pass changes")
    add_no_passes(passes)
    parser.add_argument(
        "--full", action="store_true", help="write out blocks that are alike, and lists"
    )
    parser.add_argument(
        "--origins", action="store_true", help="every field, its value, and what set it"
    )
    parser.add_argument(
        "--counting",
        choices=(OWN, SOURCE),
        default=OWN,
        help="multiplies as here, or beside them as the learnable ScatterNet's sources count, and why",
    )
    parser.add_argument(
        "--packets",
        metavar="FILE",
        nargs="?",
        const=TABLE_ONLY,
        help="the packets in the frequency plane: a table, and a picture in FILE.svg or FILE.png",
    )
    parser.add_argument(
        "--graph", metavar="FILE", help="draw the layers, as SVG or PNG; with --passes after them"
    )
    parser.add_argument(
        "--kernels",
        metavar="FILE",
        help="draw the first layer's resulting kernels, in space and in frequency, as PNG, SVG or PDF",
    )
    parser.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="weights for --kernels, .safetensors; default: the initial ones",
    )
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Show one spec.

    Raises:
        CompileError: the spec is at fault, or a picture cannot be drawn.
        RunError: of `--kernels`: the weights cannot be read or are of another model.
    """
    check_pictures(options)
    compiled, code = compile_one(options, options.specs[0], optimise=options.optimise)
    say(show(compiled, options))
    return code


def show(compiled: Compiled, options: argparse.Namespace) -> str:
    """Return what goes to standard output; pictures are written, and named on standard error.

    Args:
        compiled: the spec.
        options: of the command line, checked by `check_pictures`.

    Raises:
        CompileError: there is nothing to draw, or a file cannot be written.
        RunError: of `--kernels`: the weights cannot be read or are of another model.
    """
    text = _text(compiled, options)
    drawn: list[tuple[str, Path]] = []
    if options.packets not in (None, TABLE_ONLY):
        drawn.append(("packets", Path(options.packets)))
        _write(drawn[-1][1], lambda: _packet_drawing(compiled))
    if options.graph is not None:
        drawn.append(("graph", Path(options.graph)))
        _write(drawn[-1][1], lambda: _graph_drawing(compiled, options))
    if options.kernels is not None:
        checkpoint = None if options.checkpoint is None else Path(options.checkpoint)
        drawn.append(("kernels", Path(options.kernels)))
        _draw_kernels(compiled, drawn[-1][1], checkpoint)
    complain("".join(f"{what}: {file}\n" for what, file in drawn))
    return text


def _draw_kernels(compiled: Compiled, file: Path, checkpoint: Path | None) -> None:
    """Write the kernels by Pillow as PNG, else by matplotlib; faults as of `show`."""
    from wavetwin.explain.show.kernel_picture import experiment_kernel, picture_kernels

    source = compiled.graph, compiled.plan, compiled.project
    if file.suffix.lower() == f".{_RASTER.lower()}":
        picture_kernels(*source, file, checkpoint)
        return
    from wavetwin.explain.paper.figure_files import render_figure
    from wavetwin.explain.paper.kernel_figures import kernel_figure
    from wavetwin.runtime.process.packages import require

    require("matplotlib", "a figure as SVG or PDF")
    kernel, title = experiment_kernel(*source, checkpoint)
    figure = render_figure(kernel_figure([(title, kernel)]), file.suffix[1:].lower())
    _write_bytes(file, figure)


def _write_bytes(file: Path, content: bytes) -> None:
    from wavetwin.files.atomic import write_file
    from wavetwin.runtime.process.errors import RunError, write_code

    try:
        write_file(file, content)
    except OSError as error:
        headline = f"cannot be written: {error.strerror or error}"
        raise RunError(write_code(error), headline, subject=file) from error


def check_pictures(options: argparse.Namespace) -> None:
    """Refuse pictures that cannot be written, before anything is computed.

    Raises:
        CompileError: a file's name or folder is not one to write a picture to.
    """
    found: list[Diagnostic] = []
    if options.checkpoint is not None and options.kernels is None:
        found.append(
            Diagnostic(
                "checkpoint-without-kernels",
                "--checkpoint gives the weights of --kernels, which is not there",
                subject="wavetwin show",
                help="add --kernels FILE.png",
            )
        )
    for file, what, kinds in (
        (options.kernels, "kernels are", (_RASTER, "SVG", "PDF")),
        (options.packets, "packets are", ("SVG", "PNG")),
        (options.graph, "the graph is", ("SVG", "PNG")),
    ):
        if file not in (None, TABLE_ONLY):
            found += _faults(file, what, kinds)
    if found:
        raise CompileError(found)


def _faults(file: str, what: str, kinds: tuple[str, ...]) -> list[Diagnostic]:
    endings = [f".{kind.lower()}" for kind in kinds]
    if Path(file).suffix.lower() not in endings:
        code = "picture-not-svg-png-or-pdf" if len(kinds) > 2 else "picture-not-svg-or-png"
        return [
            Diagnostic(
                code,
                f"{what} drawn as {' or '.join(f'a {kind}' for kind in kinds)} file".replace(
                    "a SVG", "an SVG"
                ),
                subject=file,
                help=f"give it a name that ends in {' or '.join(endings)}",
            )
        ]
    if not Path(file).absolute().parent.is_dir():
        return [
            Diagnostic(
                "picture-folder-missing",
                "the folder of the picture does not exist",
                subject=file,
                help=f"make {Path(file).parent}, or choose another one",
            )
        ]
    return []


def _text(compiled: Compiled, options: argparse.Namespace) -> str:
    if options.json:
        from wavetwin.explain.text_table import show_document

        document = show_document(compiled)
        if options.counting == SOURCE:
            from wavetwin.explain.show.source_counting import source_document

            document["source_counting"] = source_document(compiled.graph)
        return as_json(document)
    parts: list[str] = []
    if options.origins:
        from wavetwin.explain.show.origin_table import origin_table

        parts.append(origin_table(compiled, full=options.full))
    if options.packets is not None:
        from wavetwin.explain.packet_use import packet_choice
        from wavetwin.explain.show.packet_table import packet_table

        choice = packet_choice(compiled.graph)
        if choice is None:
            raise CompileError([_no_packets(compiled)])
        parts.append(packet_table(choice))
    if options.counting == SOURCE:
        from wavetwin.explain.show.source_counting import source_table

        parts.append(source_table(compiled))
    # What is asked for instead of the layers does not come after pages of them.
    if not parts:
        from wavetwin.explain.show.tree_table import model_table

        parts.append(model_table(compiled, full=options.full))
    if options.passes:
        from wavetwin.explain.text_table import pass_table

        parts.append(pass_table(compiled))
    return "\n".join(parts)


def _packet_drawing(compiled: Compiled) -> Drawing:
    from wavetwin.explain.packet_use import packet_choice
    from wavetwin.explain.pictures.packet_plane import draw_packets

    choice = packet_choice(compiled.graph)
    if choice is None:
        raise CompileError([_no_packets(compiled)])
    return draw_packets(choice, compiled.name)


def _graph_drawing(compiled: Compiled, options: argparse.Namespace) -> Drawing:
    from wavetwin.explain.pictures.graph_picture import draw_graph

    if options.passes:
        return draw_graph(compiled.optimised_graph, full=options.full, label="after the passes")
    return draw_graph(compiled.graph, full=options.full)


def _no_packets(compiled: Compiled) -> Diagnostic:
    return Diagnostic(
        "no-packets",
        f"{compiled.name} has no wavelet channels, so that there are no packets to show",
        subject=compiled.spec_path,
        help="leave out --packets, or show a twin",
    )


def _write(file: Path, draw: Callable[[], Drawing]) -> None:
    if file.suffix.lower() == ".svg":
        from wavetwin.explain.pictures.svg import render_svg, svg_file

        data = svg_file(render_svg(draw())).encode()
    else:
        from wavetwin.explain.pictures.png import render_png

        data = render_png(draw())
    try:
        write_file(file, data)
    except OSError as error:
        raise CompileError(
            [
                Diagnostic(
                    "picture-not-written",
                    f"the picture cannot be written: {error.strerror or error}",
                    subject=str(file),
                    help="choose another file",
                )
            ]
        ) from error
