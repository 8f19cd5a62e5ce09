"""The command line's grammar: commands, options and their help; nothing is run here."""

from __future__ import annotations

import argparse

from wavetwin import __version__

FORMATS = ("text", "json", "github", "sarif")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; `command` of what it parses names the function that runs."""
    parser = argparse.ArgumentParser(
        prog="wavetwin",
        description="Compile declarative vision experiments: CNNs and their wavelet twins.",
        epilog="`wavetwin COMMAND --help` says more about a command.",
    )
    parser.add_argument("--version", action="version", version=f"wavetwin {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(command=name)
        return added

    def takes_specs(added: argparse.ArgumentParser, several: bool = True) -> None:
        what = "spec files, or folders of them" if several else "a spec file"
        added.add_argument("specs", metavar="SPEC", nargs="+" if several else 1, help=what)
        added.add_argument(
            "--set",
            metavar="KEY=VALUE",
            action="append",
            default=[],
            dest="overrides",
            help="override a field, for example --set stem.free_channels=40; may be repeated",
        )
        added.add_argument("--project", metavar="DIR", help="the project's root folder")
        added.add_argument(
            "--format", choices=FORMATS, default="text", help="form of errors and warnings"
        )
        added.add_argument("--strict", action="store_true", help="warnings fail the command")

    takes_specs(command("check", "Check specs and report every fault at its place."))
    build = command("build", "Build run scripts from specs into generated/.")
    takes_specs(build)
    _add_build_options(build)
    build.add_argument(
        "--check", action="store_true", help="compare with what was built; write nothing"
    )
    show = command("show", "Show a spec's layers: shapes, parameters, cost.")
    takes_specs(show, several=False)
    show.add_argument("--json", action="store_true", help="one JSON object on standard output")
    show.add_argument("--passes", action="store_true", help="what each pass changes")
    show.add_argument(
        "--kernels",
        metavar="FILE.png",
        help="draw the first layer's resulting kernels, in space and in frequency",
    )
    show.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="weights for --kernels, .safetensors; default: the initial ones",
    )
    run = command("run", "Build one spec, train it and evaluate it.")
    takes_specs(run, several=False)
    _add_build_options(run)
    run.epilog = "What follows -- is passed on to train.py: wavetwin run SPEC -- --device cuda"
    report = command("report", "Set several runs side by side.")
    report.add_argument("runs", metavar="RUN", nargs="+", help="run folders")
    report.add_argument("-o", "--output", metavar="FILE", help="default: report.html")
    report.set_defaults(format="text", strict=False)
    text = "Take over what others trained: weights, or the commands of the published models."
    _add_import(commands.add_parser("import", help=text, description=text))
    schema = command("schema", "Print the JSON Schema of specs, for editors.")
    schema.set_defaults(format="text", strict=False)
    return parser


def _add_import(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(title="what to import", required=True, metavar="KIND")
    text = "Write weights that others trained as a safetensors file of a spec's model."
    weights = kinds.add_parser("weights", help=text, description=text)
    weights.add_argument("file", metavar="FILE", help=".safetensors, .pt, .pth or .tar")
    weights.add_argument("--spec", metavar="SPEC", required=True, help="the model's spec")
    weights.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="overrides",
        help="override a field of the spec; may be repeated",
    )
    weights.add_argument("--project", metavar="DIR", help="the project's root folder")
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
    weights.set_defaults(command="import weights", format="text", strict=False)
    text = "Print the spec of a training command, or the battery entry of an evaluation command."
    command = kinds.add_parser("command", help=text, description=text)
    command.add_argument(
        "text", metavar="COMMAND", help='in quotes: "AwyI -a DtCwptAlexNet --config Ft32Y ..."'
    )
    command.add_argument("--out", metavar="FILE", help="a new file to write instead")
    command.set_defaults(command="import command", format="text", strict=False)


def _add_build_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="DIR", help="where to build; default: generated/")
    parser.add_argument(
        "--allow-dirty", action="store_true", help="build from changed inputs; keep a patch of them"
    )
    parser.add_argument(
        "--no-git", action="store_true", help="build outside a repository, and mark what is built"
    )
    parser.add_argument(
        "--force", action="store_true", help="overwrite files that were edited by hand"
    )


def _number_of_classes(text: str) -> int | str:
    if text != "any" and not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text)):
        import argparse

        raise argparse.ArgumentTypeError(f"{text!r} is no number of classes")
    return text if text == "any" else int(text)
