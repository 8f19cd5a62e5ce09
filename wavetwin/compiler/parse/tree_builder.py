"""Build nodes from ruamel's events, with size, depth and aliases bounded."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from wavetwin.compiler.parse.events import Directive
from wavetwin.compiler.parse.nodes import SpecNode
from wavetwin.compiler.parse.scalars import (
    MAX_NUMBER_LENGTH,
    Scalar,
    is_long_number,
    resolve_scalar,
)
from wavetwin.compiler.parse.source import LINE_END, Source, report
from wavetwin.compiler.parse.syntax import refuse_directives
from wavetwin.diagnostics import Diagnostic, Location, Origin

MAX_DEPTH = 32
"""Collections inside each other, aliases followed."""
MAX_NODES = 100_000
"""Values of one file, aliases written out."""
MAX_ALIASES = 256

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(slots=True)
class _Frame:
    """A collection that is not closed yet."""

    start: int
    stop: int
    is_flow: bool
    anchor: str | None
    key_location: Location | None
    """Of the key that the collection belongs to."""
    mapping: dict[str, SpecNode] | None
    items: list[SpecNode]
    num_nodes: int = 1
    height: int = 1
    awaits_key: bool = True
    pending_key: str | None = None
    """None while a value is expected whose key was refused."""
    pending_location: Location | None = None
    key_stop: int = 0
    """Where the text of the last key ends."""
    first_location: Location | None = None


class StopParsing(Exception):  # noqa: N818  a signal, not a fault of ours
    """Nothing after this event is of use."""


@dataclass
class TreeBuilder:
    """Turns one text's events into nodes."""

    source: Source
    diagnostics: list[Diagnostic] = field(default_factory=list[Diagnostic])
    frames: list[_Frame] = field(default_factory=list[_Frame])
    root: SpecNode | None = None
    anchors: dict[str, tuple[SpecNode, int, int] | None] = field(
        default_factory=dict[str, "tuple[SpecNode, int, int] | None"]
    )
    """Node, number of nodes and height of each anchor; None while it is open."""
    num_aliases: int = 0
    skipped_depth: int = 0
    """Depth inside a collection that stands where a key should."""
    num_documents: int = 0
    first_document: int = 0
    """Where the first document starts, directives left out."""
    last_scalar: tuple[int, int] = (0, 0)
    is_abandoned: bool = False
    """Whether what was read is of no use."""

    def error(self, code: str, headline: str, location: Location, **extra: Any) -> None:
        """Report a fault."""
        self.diagnostics.append(report(self.source, code, headline, location, **extra))

    def _start_document(self, event: Any, directives: list[Directive]) -> None:
        self.num_documents += 1
        start, stop = int(event.start_mark.index), int(event.end_mark.index)
        if self.num_documents == 1:
            self.first_document = stop
            own = [each for each in directives if each.start < stop]
            self.diagnostics += refuse_directives(self.source, own)
            return
        later = [each for each in directives if each.start >= self.first_document]
        location = self.source.location(start, start + 3)
        if later:
            location = self.source.location(later[0].start, later[0].stop)
        self.error(
            "second-document",
            "a spec is one document, here starts another",
            location,
            help="put it in a file of its own",
        )
        raise StopParsing

    def close_frames(self) -> None:
        """Keep what the open collections hold so far."""
        self.skipped_depth = 0
        while self.frames:
            try:
                self._close(self.frames[-1].stop)
            except StopParsing:
                return  # reported already: what is open is too much to be kept

    def take(self, event: Any, directives: list[Directive]) -> None:
        """Take the next event.

        Args:
            event: of ruamel's parser.
            directives: those read so far.

        Raises:
            StopParsing: nothing after it is of use.
        """
        kind: object = event.__class__
        if kind is ScalarEvent:
            self._take_scalar(event)
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            self._open(event, is_mapping=kind is MappingStartEvent)
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            if self.skipped_depth:
                self.skipped_depth -= 1
                if not self.skipped_depth:
                    self._await_value(None, None)
            else:
                self._close(int(event.end_mark.index))
        elif kind is AliasEvent:
            self._take_alias(event)
        elif kind is DocumentStartEvent:
            self._start_document(event, directives)

    def _expects_key(self) -> bool:
        return (
            bool(self.frames) and self.frames[-1].mapping is not None and self.frames[-1].awaits_key
        )

    def _take_scalar(self, event: Any) -> None:
        if self.skipped_depth:
            return
        start, stop = int(event.start_mark.index), int(event.end_mark.index)
        self.last_scalar = (start, stop)
        text = str(event.value)
        location = self.source.location(start, stop)
        if event.ctag is not None:
            self.refuse_tag(start, str(event.ctag))
        if _SURROGATE.search(text):
            self.error(
                "unprintable-character", "an escape names half of a surrogate pair", location
            )
            text = _SURROGATE.sub("\ufffd", text)
        is_plain = event.style is None or event.style == ""
        is_resolved = is_plain and str(event.ctag) != "tag:yaml.org,2002:str"
        value = self._resolve(text, location) if is_resolved else text
        if self._expects_key():
            self._anchor(event.anchor, SpecNode(value, location), 1, 0)
            self.frames[-1].key_stop = stop
            self._take_key(text, location, is_plain=is_plain)
            return
        key_location = None
        left_out: Literal["", "value", "colon"] = ""
        if self.frames:
            key_location = self.frames[-1].pending_location
            if is_plain and not text and self.frames[-1].mapping is not None:
                between = self.source.text[self.frames[-1].key_stop : start]
                left_out = "value" if ":" in between else "colon"
        node = SpecNode(value, location, key_location, left_out)
        self._anchor(event.anchor, node, 1, 0)
        self._attach(node, 1, 0)

    def _resolve(self, text: str, location: Location) -> Scalar:
        """Return what a plain scalar means."""
        if not is_long_number(text):
            return resolve_scalar(text)
        self.error(
            "number-too-long",
            f"a number has at most {MAX_NUMBER_LENGTH} characters, this one has {len(text)}",
            location,
        )
        return text

    def _take_key(self, text: str, location: Location, *, is_plain: bool) -> None:
        frame = self.frames[-1]
        frame.first_location = frame.first_location or location
        if is_plain and not text:
            self._refuse_key(location, "nothing")
            self._await_value(None, location)
            return
        if is_plain and text == "<<":
            self.error(
                "merge-key",
                "merge keys are not part of the spec language",
                location,
                help="inherit from another file with `extends`",
            )
            self._await_value(None, location)
            return
        assert frame.mapping is not None
        earlier = frame.mapping.get(text)
        if earlier is not None and earlier.key_location is not None:
            self.error(
                "duplicate-key",
                f"'{text}' is given twice, first at line {earlier.key_location.line}",
                location,
                origins=(Origin(text, earlier.key_location),),
                help="keep one of the two",
            )
            self._await_value(None, location)
            return
        self._await_value(text, location)

    def _await_value(self, key: str | None, location: Location | None) -> None:
        frame = self.frames[-1]
        frame.awaits_key = False
        frame.pending_key = key
        frame.pending_location = location

    def _take_alias(self, event: Any) -> None:
        start, stop = int(event.start_mark.index), int(event.end_mark.index)
        location = self.source.location(start, stop)
        self.num_aliases += 1
        if self.num_aliases > MAX_ALIASES:
            self._abandon("too-many-aliases", f"a spec has at most {MAX_ALIASES} aliases", location)
        if self.skipped_depth:
            return
        if self._expects_key():
            self._refuse_key(location, "an alias")
            self._await_value(None, location)
            return
        name = str(event.anchor)
        if name not in self.anchors:
            self.error("undefined-alias", f"there is no anchor '&{name}' before this", location)
            self._attach_nothing()
            return
        found = self.anchors[name]
        if found is None:
            self.error(
                "undefined-alias", f"'*{name}' stands inside the value of '&{name}'", location
            )
            self._attach_nothing()
            return
        node, num_nodes, height = found
        if len(self.frames) + height > MAX_DEPTH:
            self._abandon_depth(location)
        self._attach(
            SpecNode(
                node.value, location, self.frames[-1].pending_location if self.frames else None
            ),
            num_nodes,
            height,
        )

    def _open(self, event: Any, *, is_mapping: bool) -> None:
        start, stop = int(event.start_mark.index), int(event.end_mark.index)
        if event.ctag is not None:
            self.refuse_tag(start, str(event.ctag))
        if self.skipped_depth:
            self.skipped_depth += 1
        elif self._expects_key():
            location = self.source.location(start, self.line_end(start))
            frame = self.frames[-1]
            frame.first_location = frame.first_location or location
            self._refuse_key(location, "a mapping" if is_mapping else "a list")
            self.skipped_depth = 1
        else:
            if event.anchor is not None:
                self.anchors[str(event.anchor)] = None
            self.frames.append(
                _Frame(
                    start=start,
                    stop=stop,
                    is_flow=bool(event.flow_style),
                    anchor=None if event.anchor is None else str(event.anchor),
                    key_location=self.frames[-1].pending_location if self.frames else None,
                    mapping={} if is_mapping else None,
                    items=[],
                )
            )
        if len(self.frames) + self.skipped_depth > MAX_DEPTH:
            self._abandon_depth(self.source.location(start))

    def _close(self, stop: int) -> None:
        frame = self.frames.pop()
        if frame.is_flow:
            location = self.source.location(frame.start, stop)
        elif frame.anchor is None and frame.first_location is not None:
            location = frame.first_location
        else:
            location = self.source.location(frame.start)
        value = frame.items if frame.mapping is None else frame.mapping
        node = SpecNode(value, location, frame.key_location)
        self._anchor(frame.anchor, node, frame.num_nodes, frame.height)
        self._attach(node, frame.num_nodes, frame.height)

    def _anchor(self, anchor: Any, node: SpecNode, num_nodes: int, height: int) -> None:
        if anchor is not None:
            self.anchors[str(anchor)] = (node, num_nodes, height)

    def _attach(self, node: SpecNode, num_nodes: int, height: int) -> None:
        """Put a finished value where it belongs."""
        if not self.frames:
            self.root = node
            return
        frame = self.frames[-1]
        frame.num_nodes += num_nodes
        frame.height = max(frame.height, height + 1)
        if frame.num_nodes > MAX_NODES:
            self._abandon(
                "too-many-values",
                f"a spec has at most {MAX_NODES} values, aliases written out",
                node.location,
            )
        if frame.mapping is None:
            frame.items.append(node)
        else:
            if frame.pending_key is not None:
                frame.mapping[frame.pending_key] = node
            frame.pending_key = frame.pending_location = None
            frame.awaits_key = True

    def _attach_nothing(self) -> None:
        """Go on after a value that was refused."""
        if self.frames and self.frames[-1].mapping is not None:
            self.frames[-1].pending_key = self.frames[-1].pending_location = None
            self.frames[-1].awaits_key = True

    def _refuse_key(self, location: Location, kind: str) -> None:
        self.error("non-scalar-key", f"a key is text, not {kind}", location)

    def refuse_tag(self, start: int, tag: str | None) -> None:
        """Report a tag that starts here."""
        stop = start
        while stop < len(self.source.text) and not self.source.text[stop].isspace():
            stop += 1
        shown = self.source.text[start:stop]
        if not shown.startswith("!") and tag is not None:
            shown = tag
        self.error(
            "tag",
            f"the tag '{shown}' is not allowed in a spec",
            self.source.location(start, stop),
            help="remove it; text that looks like a number is written in quotes",
        )

    def line_end(self, start: int) -> int:
        """Return where the line ends that this character is in."""
        end = LINE_END.search(self.source.text, start)
        return end.start() if end else len(self.source.text)

    def _abandon_depth(self, location: Location) -> None:
        self._abandon("too-deep", f"a spec is at most {MAX_DEPTH} levels deep", location)

    def _abandon(self, code: str, headline: str, location: Location) -> None:
        self.error(code, headline, location)
        self.is_abandoned = True
        raise StopParsing
