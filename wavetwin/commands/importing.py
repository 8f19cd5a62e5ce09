"""`wavetwin import`: take over what others trained, weights or the published commands."""

from __future__ import annotations

import argparse

from wavetwin.commands.arguments import add_format, add_overrides, add_state_dict
from wavetwin.commands.output import compile_one, path_or_none, report
from wavetwin.diagnostics.terminal import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's kinds."""
    kinds = parser.add_subparsers(title="what to import", required=True, metavar="KIND")
    text = "Write weights that others trained as a safetensors file of a spec's model."
    weights = kinds.add_parser("weights", help=text, description=text)
    weights.add_argument("file", metavar="FILE", help="of safetensors, torch.save or Lightning")
    weights.add_argument("--spec", metavar="SPEC", required=True, help="the model's spec")
    add_overrides(weights, "override a field of the spec")
    weights.add_argument(
        "--out", metavar="FILE", required=True, help="the .safetensors file to write"
    )
    weights.add_argument(
        "--num-classes",
        metavar="N",
        nargs="?",
        const="any",
        type=_number_of_classes,
        help="take a classifier with N classes instead of the spec's; without N, with any number",
    )
    add_state_dict(weights)
    add_format(weights)
    weights.set_defaults(execute=_weights)
    text = "Print the spec of a training command, or the evaluation entry of an evaluation command."
    command = kinds.add_parser("command", help=text, description=text)
    command.add_argument(
        "text", metavar="COMMAND", help='in quotes: "AwyI -a DtCwptAlexNet --config Ft32Y ..."'
    )
    command.add_argument("--out", metavar="FILE", help="a new file to write instead")
    add_format(command)
    command.set_defaults(execute=_command)


def _weights(options: argparse.Namespace) -> int:
    from pathlib import Path

    compiled, code = compile_one(options, options.spec)
    from wavetwin.importing.weights import import_weights

    imported = import_weights(
        Path(options.file),
        compiled.graph,
        compiled.plan,
        Path(options.out),
        options.num_classes,
        options.state_dict,
    )
    say(imported.describe())
    return code


def _command(options: argparse.Namespace) -> int:
    from wavetwin.commands.modeline import modeline
    from wavetwin.compiler.parse.project import find_project
    from wavetwin.importing.import_command import import_command, write_new

    imported = import_command(options.text)
    out = path_or_none(options.out)
    if out is None:
        say(imported.text)
    else:
        write_new(modeline(out, find_project(out)) + imported.text, out)
    return report(options, imported.notes)


def _number_of_classes(text: str) -> int | str:
    if text != "any" and not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of classes")
    return text if text == "any" else int(text)
