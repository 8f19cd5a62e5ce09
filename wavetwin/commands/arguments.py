"""The command line's grammar: commands, options and their help; nothing is run here."""

from __future__ import annotations

import argparse

from wavetwin import __version__
from wavetwin.commands.study_arguments import add_study
from wavetwin.diagnostics.terminal import Parser

FORMATS = ("text", "json", "github", "sarif")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; `command` of what it parses names the function that runs."""
    parser = Parser(
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
        _add_overrides(added, "override a field, for example --set stem.free_channels=40")
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
    show = command("show", "Show a spec's layers: shapes, parameters, cost, where they come from.")
    takes_specs(show, several=False)
    show.add_argument("--json", action="store_true", help="one JSON object on standard output")
    passes = show.add_mutually_exclusive_group()
    passes.add_argument("--passes", action="store_true", help="what each pass changes")
    _add_no_passes(passes)
    show.add_argument(
        "--full", action="store_true", help="write out blocks that are alike, and lists"
    )
    show.add_argument(
        "--origins", action="store_true", help="every field, its value, and what set it"
    )
    show.add_argument(
        "--packets",
        metavar="FILE",
        nargs="?",
        const="-",
        help="the packets in the frequency plane: a table, and a picture in FILE.svg or FILE.png",
    )
    show.add_argument(
        "--graph", metavar="FILE", help="draw the layers, as SVG or PNG; with --passes after them"
    )
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
    _add_diff(command("diff", "Say what differs between experiments, and what it does."))
    run = command("run", "Build one spec, train it and evaluate it.")
    takes_specs(run, several=False)
    _add_build_options(run)
    run.epilog = "What follows -- is passed on to train.py: wavetwin run SPEC -- --device cuda"
    _add_evaluate(command("evaluate", "Run a spec's evaluation suite on a weights file."))
    report = command("report", "Show runs in one offline HTML page, side by side.")
    report.add_argument(
        "runs", metavar="RUN", nargs="+", help="run folders, or books of `wavetwin evaluate`"
    )
    report.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="FILE.html, or FILE.md for its tables as Markdown; default: report.html",
    )
    report.add_argument(
        "--published",
        action="store_true",
        help="in the Markdown, too, and with the published tables of the data set",
    )
    report.add_argument(
        "--baseline",
        metavar="RUN",
        help="mean flip rates in percent of this run's, or of published:NAME",
    )
    report.add_argument(
        "--paired",
        metavar=("FIRST", "SECOND"),
        nargs=2,
        help="the second experiment's scores minus the first's, paired by seed and image",
    )
    _add_trials(report)
    report.set_defaults(format="text", strict=False)
    _add_runs(command("runs", "List, show and compare runs, by an index of their folders."))
    text = "Check whether a spec's images are there, or lay a data set out."
    _add_data(commands.add_parser("data", help=text, description=text))
    text = "Take over what others trained: weights, or the commands of the published models."
    _add_import(commands.add_parser("import", help=text, description=text))
    text = "Study the first layer: RMax and CMod, shifts, kernels, sparse layers."
    add_study(commands.add_parser("study", help=text, description=text), _count, _positive)
    schema = command("schema", "Print the JSON Schema of specs, for editors.")
    schema.set_defaults(format="text", strict=False)
    return parser


def _add_overrides(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="overrides",
        help=f"{text}; may be repeated",
    )
    parser.add_argument("--project", metavar="DIR", help="the project's root folder")


def _add_diff(diff: argparse.ArgumentParser) -> None:
    diff.add_argument(
        "sources",
        metavar="OPERAND",
        nargs="+",
        help="specs, built folders, run folders, .safetensors files or checkpoint folders; of more "
        "than two a table",
    )
    diff.add_argument(
        "--at",
        metavar="COMMIT",
        action="append",
        default=[],
        help="compare one spec at this commit with the work tree; twice: two commits",
    )
    _add_overrides(diff, "override a field of the specs; of one spec: compare it with and without")
    diff.add_argument("--full", action="store_true", help="every field, layer, attribute and label")
    diff.add_argument("--json", action="store_true", help="one JSON object on standard output")
    diff.add_argument("--html", metavar="FILE", help="write a page that needs nothing else, too")
    diff.add_argument(
        "--values", action="store_true", help="compare the numbers of two weights files or runs"
    )
    _add_trials(diff)
    diff.epilog = "Exit code: 0 the same, 1 different, 2 a source is at fault."
    diff.set_defaults(format="text", strict=False)


def _add_evaluate(evaluate: argparse.ArgumentParser) -> None:
    evaluate.add_argument(
        "weights", metavar="WEIGHTS", help="of safetensors, torch.save or Lightning"
    )
    _add_state_dict(evaluate)
    evaluate.add_argument("--spec", metavar="SPEC", required=True, help="the model's spec")
    _add_overrides(evaluate, "override a field of the spec")
    evaluate.add_argument(
        "--out",
        metavar="FILE.json",
        help="the scores file that scores are added to; default: WEIGHTS.scores.json",
    )
    evaluate.add_argument(
        "--baseline",
        metavar="FILE.json",
        help="a scores file of another model's scores: mCE, mFR and mT5D are relative to these",
    )
    evaluate.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, mps; default: auto")
    evaluate.add_argument("--data-root", metavar="DIR", help="where the data sets lie")
    evaluate.add_argument(
        "--workers", type=_count, metavar="N", help="processes that read image files"
    )
    evaluate.add_argument(
        "--limit-batches", type=_positive, metavar="N", help="try out: N batches an entry"
    )
    evaluate.add_argument(
        "--on-bad-image",
        choices=("stop", "skip"),
        default="stop",
        help="what a damaged image does; default: stop",
    )
    evaluate.add_argument(
        "--allow-other-data",
        action="store_true",
        help="take files that are not the official ones, and mark the scores",
    )
    evaluate.set_defaults(format="text", strict=False)


def _add_trials(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trials", action="store_true", help="take in runs of --limit-batches, which are left out"
    )


def _add_runs(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(title="what to do", required=True, metavar="ACTION")

    def action(name: str, text: str, *, prints_json: bool = True) -> argparse.ArgumentParser:
        added = kinds.add_parser(name, help=text, description=text)
        added.add_argument("--project", metavar="DIR", help="the project's root folder")
        added.add_argument("--runs", metavar="DIR", help="default: runs/ of the project")
        if prints_json:
            added.add_argument("--json", action="store_true", help="JSON on standard output")
        added.set_defaults(command=f"runs {name}", format="text", strict=False)
        return added

    listing = action("list", "List the runs that fit every filter.")
    listing.add_argument("--tag", action="append", default=[], help="of its spec; may be repeated")
    listing.add_argument(
        "--digest", metavar="PREFIX", help="of any of the three: complete, training, model"
    )
    listing.add_argument("--name", metavar="GLOB", help="of the experiment, such as 'R18*C'")
    listing.add_argument("--status", help="finished, running, stopped, failed or new")
    listing.add_argument(
        "--where",
        metavar="CONDITION",
        action="append",
        default=[],
        help="a field of the resolved spec: training.optimizer.lr=0.01, stem.wavelet.levels>=2",
    )
    listing.add_argument(
        "--score",
        metavar="CONDITION",
        action="append",
        default=[],
        help="a score: 'top1_error<0.05', 'ten_crops.top1_error<0.4', 'diagonal.flip_rate.1<0.1'",
    )
    listing.add_argument(
        "--sort",
        metavar="KEY",
        help="name, started, seed, epochs, status or a score; --sort=-KEY: descending",
    )
    showing = action("show", "Show one run: what it is of, its lives, its scores, its files.")
    showing.add_argument("run", metavar="RUN", help="a run folder, a name, or how one begins")
    comparing = action("compare", "Compare runs: spec fields that differ, scores side by side.")
    comparing.add_argument("run", metavar="RUN", nargs="+", help="as for show; two or more")
    _add_trials(comparing)
    action("reindex", "Make the index anew from the run folders.", prints_json=False)


def _add_data(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(title="what to do", required=True, metavar="ACTION")
    text = "Say what is there of a spec's images, what is missing, and how to get it."
    check = kinds.add_parser("check", help=text, description=text)
    check.add_argument("spec", metavar="SPEC", help="a spec file")
    _add_overrides(check, "override a field of the spec")
    check.add_argument("--data-root", metavar="DIR", help="where the data sets lie")
    check.add_argument(
        "--verify", action="store_true", help="compare checksums and decode every image"
    )
    check.set_defaults(command="data check", format="text", strict=False)
    text = "Lay a data set out below the data root, as the readers want it."
    prepare = kinds.add_parser("prepare", help=text, description=text)
    prepare.add_argument("dataset", metavar="NAME", choices=("mnist", "imagenet"))
    prepare.add_argument("--data-root", metavar="DIR", help="where to write")
    prepare.add_argument(
        "--from", metavar="DIR", dest="archives", help="of imagenet: the official archives"
    )
    prepare.set_defaults(command="data prepare", format="text", strict=False)


def _add_import(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(title="what to import", required=True, metavar="KIND")
    text = "Write weights that others trained as a safetensors file of a spec's model."
    weights = kinds.add_parser("weights", help=text, description=text)
    weights.add_argument("file", metavar="FILE", help="of safetensors, torch.save or Lightning")
    weights.add_argument("--spec", metavar="SPEC", required=True, help="the model's spec")
    _add_overrides(weights, "override a field of the spec")
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
    _add_state_dict(weights)
    weights.set_defaults(command="import weights", format="text", strict=False)
    text = "Print the spec of a training command, or the evaluation suite entry of an evaluation command."
    command = kinds.add_parser("command", help=text, description=text)
    command.add_argument(
        "text", metavar="COMMAND", help='in quotes: "AwyI -a DtCwptAlexNet --config Ft32Y ..."'
    )
    command.add_argument("--out", metavar="FILE", help="a new file to write instead")
    command.set_defaults(command="import command", format="text", strict=False)


def _add_state_dict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state-dict",
        metavar="KEY",
        help="which of the file's state dicts, or what the names to take begin with",
    )


def _add_build_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="DIR", help="where to build; default: generated/")
    parser.add_argument(
        "--allow-dirty", action="store_true", help="build from changed inputs; keep a patch of them"
    )
    parser.add_argument(
        "--no-git", action="store_true", help="build outside a repository, and mark what is built"
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="write anew what was edited by hand, which is kept as NAME.edited-DIGEST",
    )
    parser.add_argument(
        "--standalone",
        action="store_true",
        help="copy what the scripts need of wavetwin beside them: they run without it",
    )
    _add_no_passes(parser)


def _add_no_passes(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--no-passes",
        action="store_false",
        dest="optimise",
        help="take the model's layers as they are written, without the optimising passes",
    )


def _count(text: str) -> int:
    return _whole(text, least=0)


def _positive(text: str) -> int:
    return _whole(text, least=1)


def _whole(text: str, least: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) >= least):
        raise argparse.ArgumentTypeError(f"must be a whole number from {least}, not {text!r}")
    return int(text)


def _number_of_classes(text: str) -> int | str:
    if text != "any" and not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text)):
        import argparse

        raise argparse.ArgumentTypeError(f"{text!r} is no number of classes")
    return text if text == "any" else int(text)
