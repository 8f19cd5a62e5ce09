"""Compose a spec, its parents and the command line's overrides to one tree.

Mappings merge key by key, every other value replaces. Parents come first, each with its own
parents before it, later parents win over earlier ones, the file wins over them, and overrides win
over all. A null stays in the merged tree, so that what it removed can be named.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from wavetwin.compiler.parse.override import parse_override
from wavetwin.compiler.parse.parents import Refusal, find_parent
from wavetwin.compiler.parse.project import real_path, spec_not_found
from wavetwin.compiler.parse.replacement import REPLACE, Laid, lay_on_list, merge
from wavetwin.compiler.parse.source import report
from wavetwin.compiler.parse.tree import MAX_BYTES, ParsedSource, SpecNode, parse_bytes
from wavetwin.compiler.parse.unreadable import is_folder
from wavetwin.diagnostics import CompileError, Diagnostic, Location, Origin
from wavetwin.ir.frozen import frozen
from wavetwin.provenance.starters import starter_name

SWEEP_MARK = "wavetwin_sweep"
"""The field that makes a document a sweep: the version of its language."""
MAX_PARENTS = 64
"""Files of one spec's inheritance."""


@frozen
class Layer:
    """One file or override: what it sets itself, before any merging."""

    parsed: ParsedSource
    is_override: bool = False
    """Whether it is a `--set` of the command line, or a point of a sweep: no file that specs share."""

    @property
    def name(self) -> str:
        """As shown: a path or `--set[K]`."""
        return self.parsed.source.path

    @property
    def tree(self) -> SpecNode | None:
        """None where the text holds no mapping."""
        return self.parsed.tree


@frozen
class LayerReport:
    """What the schema refuses in one layer on its own."""

    diagnostics: tuple[Diagnostic, ...]
    names_parents: bool
    """Whether the layer says its parents rightly; otherwise the merge lacks some."""


@frozen
class LoadedSpec:
    """A spec as read: nothing is checked yet but the form of its files."""

    path: Path
    display_path: str
    project: Path
    tree: SpecNode
    """The merge of all layers, without `extends`."""
    layers: tuple[Layer, ...]
    """From the first parent to the last override; a later one wins."""
    files: tuple[Path, ...]
    """All files read, parents first, as they were named: absolute, symbolic links kept, since a link
    is an input, too. A file that has two names is there twice."""
    overrides: tuple[str, ...]
    diagnostics: tuple[Diagnostic, ...]
    """What reading and composing found wrong."""
    replaced: Mapping[str, SpecNode] = field(default_factory=dict[str, SpecNode])
    """What `backbone.replace` said of layers, by their names; the tree has what came of it."""

    def line_text(self, location: Location) -> str | None:
        """Return the source line at a location in one of the layers."""
        for layer in self.layers:
            if layer.name == location.path:
                return layer.parsed.source.line_text(location.line)
        return None

    def node(self, path: str | Sequence[str | int]) -> SpecNode | None:
        """Return the merged value at a key path; None where nothing sets it."""
        parts = path.split(".") if isinstance(path, str) else path
        if tuple(parts[: len(REPLACE)]) == REPLACE:
            return self._replacement(list(map(str, parts[len(REPLACE) :])))
        return find_node(self.tree, parts)

    def _replacement(self, parts: list[str]) -> SpecNode | None:
        """Return a value of `backbone.replace`, in which names of layers may have dots."""
        whole = find_node(self.tree, REPLACE)
        within: Mapping[str, SpecNode] = self.replaced
        if whole is not None and isinstance(whole.value, dict):
            within = {**whole.value, **within}
        if not parts:
            return whole
        for length in range(1, len(parts) + 1):
            name = ".".join(parts[:length])
            if name in within:
                return find_node(within[name], parts[length:])
        return None

    def replacement_of(self, path: str) -> str | None:
        """Return the key path of what replaced the layer that a value is of; None where nothing did."""
        parts = path.split(".")
        for length in range(len(parts), 0, -1):
            name = find_node(self.tree, [*parts[:length], "name"])
            label = None if name is None else name.value
            if isinstance(label, str) and label in self.replaced:
                return ".".join((*REPLACE, label))
        return None

    def has(self, path: str) -> bool:
        """Return whether a key path such as `stem.wavelet.keep.0.channels` has a value that is not null."""
        node = self.node(path)
        return node is not None and node.value is not None

    def origin(self, path: str) -> str | None:
        """Return where a key path is set, as `path:line`; None where it has no value."""
        node = self.node(path)
        if node is None or node.value is None:
            return None
        location = node.key_location or node.location
        return f"{location.path}:{location.line}"


@dataclass
class SourceCache:
    """Every file read and parsed once, however many specs of a command share it."""

    project: Path
    sources: dict[Path, ParsedSource] = field(default_factory=dict[Path, ParsedSource])
    """By path, symbolic links resolved."""
    reports: dict[str, LayerReport] = field(default_factory=dict[str, "LayerReport"])
    """What `validate` found in each file on its own, by the name that it is shown under."""
    num_parses: int = 0

    def read(self, path: Path) -> ParsedSource:
        """Return a file's parse.

        Raises:
            CompileError: `file-not-found` or `file-unreadable`.
        """
        resolved = real_path(path)
        known = self.sources.get(resolved)
        if known is not None:
            return known
        shown = self.display(path)
        try:
            with resolved.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError as error:
            raise CompileError([spec_not_found(resolved, shown)]) from error
        except IsADirectoryError as error:
            raise CompileError([is_folder(shown)]) from error
        except OSError as error:
            reason = error.strerror or "it cannot be read"
            help_text = "make it readable, or name another file"
            raise CompileError(
                [Diagnostic("file-unreadable", reason, subject=shown, help=help_text)]
            ) from error
        self.num_parses += 1
        parsed = self.sources[resolved] = parse_bytes(data, shown)
        return parsed

    def display(self, path: Path) -> str:
        """Return how a path is shown: relative to the project, with slashes; a starter by its name."""
        starter = starter_name(path, self.project)
        if starter is not None:
            return starter
        absolute = Path(os.path.abspath(path))  # noqa: PTH100  resolve() would follow links
        for candidate in (absolute, real_path(path)):
            if candidate.is_relative_to(self.project):
                return candidate.relative_to(self.project).as_posix()
        return str(path)


def load_spec(
    path: Path,
    project: Path,
    overrides: Sequence[str] = (),
    cache: SourceCache | None = None,
    laid: ParsedSource | None = None,
) -> LoadedSpec:
    """Read a spec, its parents and the overrides, and merge them.

    Faults are collected in the result's diagnostics; what can be read is merged all the same. `laid` is
    a layer that was read elsewhere, and wins over all.

    Raises:
        CompileError: `file-not-found` or `file-unreadable`, of the spec itself; `sweep-not-a-spec`.
    """
    project = project.absolute()
    if cache is None:
        cache = SourceCache(project)
    return _Composer(cache, project).load(path, tuple(overrides), laid)


def find_node(tree: SpecNode | None, path: Sequence[str | int]) -> SpecNode | None:
    """Return the node at a path of keys and list positions; None where there is none."""
    node = tree
    for part in path:
        if node is None:
            return None
        value = node.value
        if isinstance(value, dict):
            node = value.get(str(part))
        elif isinstance(value, list) and str(part).isdigit() and int(part) < len(value):
            node = value[int(part)]
        else:
            return None
    return node


@dataclass
class _Composer:
    cache: SourceCache
    project: Path
    diagnostics: list[Diagnostic] = field(default_factory=list[Diagnostic])
    layers: dict[Path, Layer] = field(default_factory=dict[Path, Layer])
    """In the order in which files are complete: parents first."""
    names: dict[Path, dict[Path, None]] = field(default_factory=dict[Path, "dict[Path, None]"])
    """What each file was called, by its real path."""
    trees: dict[Path, SpecNode | None] = field(default_factory=dict[Path, "SpecNode | None"])
    """Merged trees of the files that are complete."""
    open_files: list[tuple[Path, Origin | None]] = field(
        default_factory=list[tuple[Path, "Origin | None"]]
    )
    """Files being composed and the `extends` entry that names each."""
    is_too_long: bool = False

    def load(
        self, path: Path, overrides: tuple[str, ...], laid_over: ParsedSource | None
    ) -> LoadedSpec:
        tree = self._compose(path, None)
        self._refuse_sweep(path)
        files = tuple(name for resolved in self.layers for name in self.names[resolved])
        layers = list(self.layers.values())
        read = [parse_override(text, number) for number, text in enumerate(overrides, 1)]
        for parsed in (*read, *([] if laid_over is None else [laid_over])):
            layer = Layer(parsed, is_override=True)
            layers.append(layer)
            self.diagnostics += layer.parsed.diagnostics
            if layer.tree is not None:
                tree = layer.tree if tree is None else merge(tree, layer.tree)
        shown = self.cache.display(path)
        if tree is None:
            tree = SpecNode({}, Location(shown, 1, 1))
        laid = lay_on_list(tree)
        loaded = LoadedSpec(
            path,
            shown,
            self.project,
            laid.tree,
            tuple(layers),
            files,
            overrides,
            tuple(self.diagnostics),
            laid.replaced,
        )
        return _with_diagnostics(loaded, laid)

    def _refuse_sweep(self, path: Path) -> None:
        """Refuse a document of the other language as a whole: all its fields would be unknown."""
        parsed = self.cache.read(path)
        mark = find_node(parsed.tree, [SWEEP_MARK])
        if mark is None or find_node(parsed.tree, ["wavetwin"]) is not None:
            return
        headline, help_text = (
            "this is a sweep, and a spec is needed",
            "wavetwin sweep FILE checks it",
        )
        location = mark.key_location or mark.location
        raise CompileError(
            [report(parsed.source, "sweep-not-a-spec", headline, location, help=help_text)]
        )

    def _compose(self, path: Path, named_by: Origin | None) -> SpecNode | None:
        resolved = real_path(path)
        # resolve() would follow the links.
        name = Path(os.path.abspath(path))  # noqa: PTH100
        self.names.setdefault(resolved, {})[name] = None
        if resolved in self.trees:
            return self.trees[resolved]
        parsed = self.cache.read(path)
        tree: SpecNode | None = None
        self.open_files.append((resolved, named_by))
        own_faults = list(parsed.diagnostics)
        for entry in _extends_entries(parsed.tree):
            parent = self._find_parent(path, entry, parsed, own_faults)
            if parent is not None:
                below = self._compose(parent, Origin("extends", entry.location))
                if below is not None:
                    tree = below if tree is None else merge(tree, below)
        self.open_files.pop()
        self.diagnostics += own_faults
        if parsed.tree is not None:
            own = _without_extends(parsed.tree)
            tree = own if tree is None else merge(tree, own)
        self.layers[resolved] = Layer(parsed)
        self.trees[resolved] = tree
        return tree

    def _find_parent(
        self, child: Path, entry: SpecNode, parsed: ParsedSource, faults: list[Diagnostic]
    ) -> Path | None:
        """Return a parent's path, or report why it cannot be used."""
        text = str(entry.value)

        def refuse(code: str, headline: str, help: str | None = None) -> None:
            faults.append(report(parsed.source, code, headline, entry.location, help=help))

        candidate = find_parent(child, text, self.project)
        if isinstance(candidate, Refusal):
            refuse(candidate.code, candidate.headline, candidate.help)
            return None
        resolved = real_path(candidate)
        open_paths = [path for path, _ in self.open_files]
        if resolved in open_paths:
            first = open_paths.index(resolved)
            origins = tuple(origin for _, origin in self.open_files[first + 1 :] if origin)
            names = " -> ".join(
                self.cache.display(path) for path in (*open_paths[first:], resolved)
            )
            faults.append(
                report(
                    parsed.source,
                    "extends-cycle",
                    f"'{text}' extends this file, directly or through others"
                    if len(open_paths) - first > 1
                    else "a spec cannot extend itself",
                    entry.location,
                    origins=origins,
                    notes=(f"cycle: {names}",),
                )
            )
            return None
        if len(self.trees) + len(self.open_files) >= MAX_PARENTS and resolved not in self.trees:
            if not self.is_too_long:
                self.is_too_long = True
                refuse("too-many-parents", f"a spec has at most {MAX_PARENTS} files in all")
            return None
        return candidate


def _with_diagnostics(loaded: LoadedSpec, laid: Laid) -> LoadedSpec:
    """Return a spec with what is wrong with its replacements, each with its line."""
    found = [
        replace(
            each, source_line=None if each.location is None else loaded.line_text(each.location)
        )
        for each in laid.diagnostics
    ]
    return replace(loaded, diagnostics=(*loaded.diagnostics, *found))


def _extends_entries(tree: SpecNode | None) -> list[SpecNode]:
    """Return the paths of `extends`; what is not text is left to `validate`."""
    if tree is None or not isinstance(tree.value, dict):
        return []
    node = tree.value.get("extends")
    if node is None:
        return []
    entries = node.value if isinstance(node.value, list) else [node]
    return [entry for entry in entries if isinstance(entry.value, str) and entry.value]


def _without_extends(tree: SpecNode) -> SpecNode:
    assert isinstance(tree.value, dict)
    if "extends" not in tree.value:
        return tree
    fields: Mapping[str, SpecNode] = tree.value
    return SpecNode(
        {key: node for key, node in fields.items() if key != "extends"},
        tree.location,
        tree.key_location,
    )
