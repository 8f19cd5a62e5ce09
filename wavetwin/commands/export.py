"""`wavetwin export`: hand a run on, as a folder for a hub, an exported program or ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wavetwin.commands.arguments import add_format
from wavetwin.commands.output import FINE
from wavetwin.diagnostics.terminal import say

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's actions."""
    kinds = parser.add_subparsers(title="what to write", required=True, metavar="FORM")

    def form(name: str, text: str, target: str, what: str) -> None:
        added = kinds.add_parser(name, help=text, description=text)
        added.add_argument("run", metavar="RUN", help="a run folder, runs/NAME/RUN")
        added.add_argument("target", metavar=target, help=what)
        added.add_argument(
            "--weights",
            default="best",
            metavar="WHICH",
            help="best (on the validation images), last, average or epoch-N; default: best",
        )
        added.add_argument("--force", action="store_true", help="replace what is there")
        add_format(added)
        added.set_defaults(execute=execute, form=name)

    form(
        "hub",
        "Write config.json, model.safetensors and README.md, for wavetwin.from_pretrained.",
        "DIR",
        "a folder, made where it is not there",
    )
    form(
        "torch",
        "Write the network as a program of torch.export, for batches of any size.",
        "FILE",
        "a file that ends in .pt2",
    )
    form(
        "onnx",
        "Write the network as ONNX, for batches of any size.",
        "FILE",
        "a file that ends in .onnx",
    )


def execute(options: argparse.Namespace) -> int:
    """Write the run; what is written is loaded and compared with it first.

    Raises:
        RunError: there is no such run or weights; it cannot be exported; a file is there already.
    """
    from wavetwin.runtime.process.packages import require

    require("torch", "wavetwin export")
    from wavetwin.exporting.hub import export_hub
    from wavetwin.exporting.program import FORMS, export_program
    from wavetwin.notebook.loaded_run import load_run

    run = load_run(Path(options.run), options.weights)
    target = Path(options.target)
    program = FORMS.get(options.form)
    if program is None:
        files = export_hub(run, target, force=options.force)
        say("".join(f"{'wrote':12}{file}\n" for file in files))
        say(f"{'compared':12}outputs equal those of the run, bit for bit\n")
    else:
        difference = export_program(run, program, target, force=options.force)
        say(f"{'wrote':12}{target}\n")
        say(f"{'compared':12}outputs differ from the run's by {difference:.1e} of the largest\n")
    return FINE
