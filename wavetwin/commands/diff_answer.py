"""Answer `wavetwin diff`: compare experiments from the declaration to the scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavetwin.compiler.parse.parents import spec_path
from wavetwin.diagnostics.terminal import as_json, printable
from wavetwin.explain.diff.difference import Difference, Experiment, compare
from wavetwin.explain.diff.find import SourceReader, is_foreign
from wavetwin.explain.diff.source import SourceRequest, refused

if TYPE_CHECKING:
    import argparse

    from markupsafe import Markup

    from wavetwin.explain.diff.tensors import TensorChanges, TensorInfo
    from wavetwin.explain.weight_values import TensorDifference

__all__ = ["Answer", "diff_command", "diff_fragment"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes to standard output and to standard error, and whether all sources are the same."""

    text: str
    messages: str
    same: bool


@dataclass(frozen=True)
class _Pair:
    """All that is known of two sources' difference."""

    sources: tuple[SourceRequest, SourceRequest]
    difference: Difference | None
    """None where one of them is a weights file without a run."""
    tensors: TensorChanges | None
    """None where neither is a weights file."""
    values: list[TensorDifference] | None
    """None where values were not asked for."""

    @property
    def same(self) -> bool:
        return (
            (self.difference is None or self.difference.is_empty)
            and (self.tensors is None or self.tensors.is_empty)
            and not self.values
            and self.sources[0].edit == self.sources[1].edit
        )


def diff_command(options: argparse.Namespace, colour: bool = False) -> Answer:
    """Answer `wavetwin diff`.

    Raises:
        CompileError: a source means nothing, is damaged, or the options do not fit together.
    """
    sources = _distinct(_read_sources(options))
    if options.html is not None:
        _check_folder(Path(options.html))
    if len(sources) > 2:
        return _answer_several(sources, options, colour)
    return _answer_pair(_compare(sources[0], sources[1], options.values), options, colour)


def diff_fragment(first: Path, second: Path, level: int = 2) -> Markup:
    """Return the difference of two runs, builds or specs as HTML with the classes of a page.

    Args:
        first: what comes first: a run folder, or anything else with a spec.
        second: what it is compared with.
        level: of the headings.

    Raises:
        CompileError: one of them cannot be read.
        ValueError: one of them is a weights file without a run.
    """
    from wavetwin.explain.diff.fragment import difference_html

    reader = SourceReader()
    sources = _distinct([reader.read(first), reader.read(second)])
    experiments = [each.experiment for each in sources]
    if experiments[0] is None or experiments[1] is None:
        raise ValueError("a weights file alone has no layers to compare")
    return difference_html(compare(experiments[0], experiments[1]), level=level)


def _read_sources(options: argparse.Namespace) -> list[SourceRequest]:
    project = None if options.project is None else Path(options.project).absolute()
    reader = SourceReader(project, options.values, options.trials)
    paths = [spec_path(text) for text in options.sources if text not in _skipped(options)]
    overrides: Sequence[str] = options.overrides
    if options.at:
        if len(paths) != 1:
            raise refused(
                "nothing-to-compare",
                f"--at takes one spec, and {len(paths)} are named",
                "wavetwin diff",
                "name one spec: it is compared with itself at the commit",
            )
        found = [reader.read_at(paths[0], revision, overrides) for revision in options.at]
        return found if len(found) > 1 else [*found, reader.read(paths[0], overrides)]
    if len(paths) == 1:
        if not overrides:
            raise refused(
                "nothing-to-compare",
                "there is one source only",
                options.sources[0],
                "name a second one, a commit with --at HEAD~1, or a change with --set KEY=VALUE",
            )
        return [reader.read(paths[0]), reader.read(paths[0], overrides)]
    return [reader.read(path, overrides) for path in paths]


def _skipped(options: argparse.Namespace) -> list[str]:
    """Return the folders among several sources that are none, where two or more remain."""
    foreign = [text for text in options.sources if is_foreign(Path(text))]
    return foreign if len(options.sources) - len(foreign) >= 2 else []


def _left_out(sources: Sequence[SourceRequest], options: argparse.Namespace) -> list[str]:
    """Return what was named and is not compared, and why."""
    found = [f"{text} is no spec, build, run or checkpoint" for text in _skipped(options)]
    return found + [source.left_out for source in sources if source.left_out]


def _edit_blocks(sources: Sequence[SourceRequest]) -> dict[str, str]:
    """Return the differences of scripts that were edited by hand, by source."""
    return {source.label: source.edit for source in sources if source.edit}


def _edit_text(sources: Sequence[SourceRequest]) -> str:
    return "".join(
        f"\nscripts of {printable(label)}, edited after the build\n"
        + "".join(f"  {printable(line)}\n" for line in text.splitlines())
        for label, text in _edit_blocks(sources).items()
    )


def _left_out_text(left_out: Sequence[str]) -> str:
    return "".join(f"\nleft out: {printable(source)}" for source in left_out) + (
        "\n" if left_out else ""
    )


def _distinct(sources: Sequence[SourceRequest]) -> list[SourceRequest]:
    """Return the sources with labels that set them apart: the paths where names do not."""
    labels = [source.label for source in sources]
    if len(set(labels)) == len(labels):
        return list(sources)
    return [
        source
        if source.experiment is None or labels.count(source.label) == 1
        else replace(source, experiment=replace(source.experiment, label=source.shown))
        for source in sources
    ]


def _compare(first: SourceRequest, second: SourceRequest, with_values: bool) -> _Pair:
    difference = None
    if first.experiment is not None and second.experiment is not None:
        difference = compare(first.experiment, second.experiment)
    tensors, values = None, None
    if first.weights is not None or second.weights is not None:
        from wavetwin.explain.diff.tensors import compare_tensors

        tensors = compare_tensors(_tensors(first), _tensors(second))
    if with_values:
        values = _compare_values(first, second, tensors)
    return _Pair((first, second), difference, tensors, values)


def _tensors(source: SourceRequest) -> dict[str, TensorInfo]:
    """Return the tensors of a weights file, or those that an experiment's model has."""
    if source.weights is not None:
        return dict(source.weights.tensors)
    from wavetwin.explain.diff.tensors import expected_tensors

    assert source.experiment is not None, "a source is an experiment or a weights file"
    return expected_tensors(source.experiment.compiled.graph)


def _compare_values(
    first: SourceRequest, second: SourceRequest, tensors: TensorChanges | None
) -> list[TensorDifference]:
    for source in (first, second):
        if source.weights is None:
            raise refused(
                "values-need-weights",
                f"--values compares numbers, and this is a {source.kind}",
                source.shown,
                "name two weights files or runs, or leave --values out",
            )
    assert first.weights is not None
    assert second.weights is not None
    assert tensors is not None
    from wavetwin.explain.weight_values import compare_values

    retyped = [name for name, ours, theirs in tensors.changed if ours.shape == theirs.shape]
    return compare_values(first.weights.path, second.weights.path, (*tensors.same, *retyped))


def _answer_pair(pair: _Pair, options: argparse.Namespace, colour: bool) -> Answer:
    left_out = _left_out(pair.sources, options)
    if options.json:
        document = _pair_document(pair)
        document |= {"edits": edits} if (edits := _edit_blocks(pair.sources)) else {}
        text = as_json(document | {"left_out": left_out} if left_out else document)
    else:
        from wavetwin.explain.diff.text import difference_text

        blocks: list[str] = []
        if pair.difference is not None:
            blocks.append(difference_text(pair.difference, full=options.full, colour=colour))
        else:
            blocks.append(printable(f"{pair.sources[0].label} -> {pair.sources[1].label}") + "\n")
        blocks += _weights_blocks(pair, full=options.full, colour=colour)
        text = "\n".join(blocks) + _edit_text(pair.sources) + _left_out_text(left_out)
    messages = ""
    if options.html is not None:
        messages = _write_page(pair, Path(options.html), options.full, left_out)
    return Answer(text, messages, pair.same)


def _weights_blocks(pair: _Pair, *, full: bool, colour: bool = False) -> list[str]:
    """Return what is reported of tensors and their values, in lines."""
    from wavetwin.explain.diff.weights_text import tensors_text, values_text

    blocks: list[str] = []
    if pair.tensors is not None:
        blocks.append(tensors_text(pair.tensors, full=full, colour=colour))
    if pair.values is not None:
        info = [(each.name, each.largest, each.relative) for each in pair.values]
        blocks.append(values_text(info, full=full, colour=colour))
    return blocks


def _pair_document(pair: _Pair) -> dict[str, Any]:
    from dataclasses import asdict

    from wavetwin.explain.diff.document import difference_document, tensors_document

    document: dict[str, Any] = {
        "version": 1,
        "same": pair.same,
        "sources": [_source_document(source) for source in pair.sources],
    }
    if pair.difference is not None:
        document |= difference_document(pair.difference)
    if pair.tensors is not None:
        document["tensors"] = tensors_document(pair.tensors)
    if pair.values is not None:
        document["values"] = [asdict(each) for each in pair.values]
    return document


def _source_document(source: SourceRequest) -> dict[str, Any]:
    document: dict[str, Any] = {
        "source": source.shown,
        "kind": source.kind,
        "label": source.label,
    }
    if source.experiment is not None:
        compiled = source.experiment.compiled
        document |= {
            "digest": compiled.digest,
            "training_digest": compiled.training_digest,
            "model_digest": compiled.model_digest,
        }
    return document


def _answer_several(
    sources: list[SourceRequest], options: argparse.Namespace, colour: bool
) -> Answer:
    from wavetwin.explain.diff.several import Several, several_document, several_text

    experiments: list[Experiment] = []
    for source in sources:
        if source.experiment is None or options.values:
            raise refused(
                "values-need-weights" if options.values else "nothing-to-compare",
                "values are compared of two sources only"
                if options.values
                else "a weights file without a run has no column in a table of experiments",
                source.shown,
                "compare two sources at a time",
            )
        experiments.append(source.experiment)
    several = Several(tuple(experiments))
    left_out = _left_out(sources, options)
    if options.json:
        head = {"version": 1, "same": several.is_empty}
        columns = {"sources": [_source_document(source) for source in sources]}
        whole = head | columns | several_document(several)
        text = as_json(whole | {"left_out": left_out} if left_out else whole)
    else:
        text = several_text(several, full=options.full, colour=colour)
        text += _edit_text(sources) + _left_out_text(left_out)
    messages = ""
    if options.html is not None:
        from wavetwin.explain.diff.fragment import several_html

        title = ", ".join(source.label for source in sources)
        table = several_html(several, full=options.full)
        messages = _write(Path(options.html), title, table, sources, left_out)
    return Answer(text, messages, several.is_empty)


def _write_page(pair: _Pair, file: Path, full: bool, left_out: Sequence[str]) -> str:
    if pair.difference is None:
        raise refused(
            "nothing-to-compare",
            "a page shows experiments, and this is a weights file without a run",
            next(each.shown for each in pair.sources if each.experiment is None),
            "leave --html out",
        )
    from wavetwin.explain.diff.fragment import difference_html

    title = f"{pair.sources[0].label} -> {pair.sources[1].label}"
    difference = difference_html(pair.difference, full=full)
    weights = _weights_blocks(pair, full=full)
    return _write(file, title, difference, pair.sources, left_out, weights)


def _write(
    file: Path,
    title: str,
    difference: Markup,
    sources: Sequence[SourceRequest],
    left_out: Sequence[str],
    weights: Sequence[str] = (),
) -> str:
    """Write the page of a difference, and return the line that names it."""
    from wavetwin.explain.html import render_page
    from wavetwin.files.atomic import write_file

    page = render_page(
        title,
        "difference",
        difference=difference,
        weights=weights,
        edits=list(_edit_blocks(sources).items()),
        left_out=left_out,
    )
    try:
        write_file(file, page)
    except OSError as error:
        raise refused(
            "cannot-write",
            f"the page cannot be written: {error.strerror or error}",
            str(file),
            "make room, or name another file with --html",
        ) from error
    return f"page: {file}\n"


def _check_folder(file: Path) -> None:
    """Refuse a page that cannot be written, before anything is compared."""
    if not file.absolute().parent.is_dir():
        raise refused(
            "cannot-write",
            "the folder of the page does not exist",
            str(file),
            f"make {file.parent}, or choose another one",
        )
