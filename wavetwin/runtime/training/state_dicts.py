"""Find state dicts in what a file holds, and take wrappers off their names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from torch import Tensor

from wavetwin.diagnostics.listing import list_some
from wavetwin.diagnostics.terminal import printable
from wavetwin.files.bounded_pickle import MAX_DEPTH, MOST_NAMES
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.training.skipped_objects import SkippedObject

__all__ = ["FoundStateDict", "choose_state_dict", "fit_names", "printable"]

WRAPPERS = ("module", "_orig_mod", "_forward_module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")  # fmt: skip
"""What `nn.DataParallel`, `torch.compile`, Lightning's Fabric and sharding put into names, before all
of them or where a part is wrapped; no network of ours has such a part."""
_AVERAGED = re.compile(
    r"(?:^|[_.])(?:ema|swa|avg|averaged?|shadow)(?:$|[_.0-9])|ema$", re.IGNORECASE
)
"""Keys of averages of weights, kept beside the weights."""


@dataclass(frozen=True, slots=True)
class FoundStateDict:
    """The state dict that was chosen from what a file holds."""

    tensors: dict[str, Any]
    notes: tuple[str, ...]
    """Where it lay, what was left beside it, and what was taken off its names, for people."""


def choose_state_dict(content: Any, subject: str, key: str | None = None) -> FoundStateDict:
    """Return the one state dict among what a file holds.

    It is the mapping with the tensors, at the top or below other keys. An average of weights is left
    where it lies beside the weights themselves; between others nothing is chosen.

    Args:
        content: what was read.
        subject: the file, for errors.
        key: of the mapping to take, or what the names to take begin with.

    Raises:
        RunError: there is none, or there are several; the remedy names them.
    """
    found = dict(_candidates(content, (), _Names(subject)))
    if not found:
        held = (
            list_some(map(repr, content)) if isinstance(content, dict) else type(content).__name__
        )
        raise RunError(
            "not-a-weights-file",
            f"holds no state dict: it has {held or 'nothing'}",
            "names of tensors are read from the top, or from below other keys",
            subject=subject,
        )
    label = _choose(found, subject) if key is None else key.removesuffix(".")
    if label not in found:
        return _below_prefix(found, subject, label)
    return _make(found, label, content)


def _make(found: Mapping[str, Mapping[str, Any]], label: str, content: Any) -> FoundStateDict:
    mapping = found[label]
    tensors = {name: value for name, value in mapping.items() if _is_of_network(name, value)}
    notes: list[str] = []
    if label:
        beside = [repr(other) for other in _beside(content, label)]
        notes.append(
            f"the state dict below {_quoted(label)}"
            + (f"; left beside it: {list_some(beside)}" if beside else "")
        )
    rest = [repr(name) for name in mapping if name not in tensors and name not in found]
    rest += [] if label else [_quoted(other) for other in found if other]
    if rest:
        notes.append(f"left beside the tensors: {list_some(rest)}")
    names, removed = _without_leading(list(tensors))
    if removed:
        notes.append(_removed_text([removed], []))
    return FoundStateDict(dict(zip(names, tensors.values(), strict=True)), tuple(notes))


class _Names:
    """Counts the names of a file that are looked at."""

    def __init__(self, subject: str) -> None:
        self._subject, self._left = subject, MOST_NAMES

    def count(self, mapping: Mapping[Any, Any]) -> None:
        """Count the names of a mapping.

        Raises:
            RunError: they are too many.
        """
        self._left -= len(mapping)
        if self._left < 0:
            raise RunError(
                "not-a-weights-file",
                f"holds more than {MOST_NAMES:,} names in mappings within each other",
                "save the state dict alone",
                subject=self._subject,
            )


def _candidates(
    content: Any, path: tuple[str, ...], names: _Names
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield mappings that directly hold tensors, by their keys joined; the top is ''."""
    mapping = _module_state(content, names) if isinstance(content, SkippedObject) else content
    if not isinstance(mapping, Mapping) or len(path) > MAX_DEPTH:
        return
    names.count(mapping)
    texts = {name: value for name, value in mapping.items() if isinstance(name, str)}
    if any(_is_of_network(name, value) for name, value in texts.items()):
        yield ".".join(path), texts
    for name, value in texts.items():
        # A name with a dot is one of a tensor or of what a module keeps beside it.
        if "." not in name:
            yield from _candidates(value, (*path, name), names)


def _is_of_network(name: str, value: Any) -> bool:
    """Return whether it may be a weight: a lone number without a layer's name is a score, say."""
    return isinstance(value, Tensor) and (value.numel() > 1 or "." in name)


def _module_state(skipped: SkippedObject, names: _Names) -> Mapping[str, Any] | None:
    """Return the state dict of a pickled module: its parameters, buffers and parts."""
    if not isinstance(skipped.state, Mapping) or "_modules" not in skipped.state:
        return None
    state: dict[str, Any] = {}
    _collect(skipped.state, "", state, 0, names)
    return state


def _collect(
    state: Mapping[str, Any], prefix: str, found: dict[str, Any], depth: int, names: _Names
) -> None:
    for kind in ("_parameters", "_buffers"):
        values = state.get(kind)
        if isinstance(values, Mapping):
            names.count(values)
            found.update({f"{prefix}{k}": v for k, v in values.items() if isinstance(v, Tensor)})
    parts = state.get("_modules")
    if not isinstance(parts, Mapping) or depth > 50:
        return
    names.count(parts)
    for name, part in parts.items():
        if isinstance(part, SkippedObject) and isinstance(part.state, Mapping):
            _collect(part.state, f"{prefix}{name}.", found, depth + 1, names)


def _choose(found: Mapping[str, Mapping[str, Any]], subject: str) -> str:
    """Return the key of the one state dict that is meant.

    Raises:
        RunError: there are several.
    """
    sizes = {label: sum(isinstance(v, Tensor) for v in m.values()) for label, m in found.items()}
    most = max(sizes.values())
    # What has far fewer tensors is of a loss, a metric or an optimiser.
    large = [label for label in found if 2 * sizes[label] >= most]
    plain = [label for label in large if not _AVERAGED.search(label)]
    if len(large) == 1:
        return large[0]
    if len(plain) == 1:
        return plain[0]
    choices = list_some(
        f"{_quoted(label) if label else 'the top'} ({sizes[label]} tensors)" for label in large
    )
    named = next(label for label in large if label)
    raise RunError(
        "state-dict-unclear",
        f"holds {len(large)} state dicts: {choices}",
        f"say which: --state-dict {printable(named)} (of `study kernels`: --first-state-dict or "
        f"--second-state-dict), in a spec weights.state_dict: {printable(named)}; stem.initial_weights "
        "take a file of one alone, as `wavetwin import weights FILE --spec SPEC --state-dict "
        f"{printable(named)} --out NEW` writes it",
        subject=subject,
    )


def _below_prefix(
    found: Mapping[str, Mapping[str, Any]], subject: str, prefix: str
) -> FoundStateDict:
    """Return the tensors whose names begin with a prefix, without it.

    Raises:
        RunError: there are none, or in several state dicts.
    """
    start = f"{prefix}."
    having = [label for label in found if any(name.startswith(start) for name in found[label])]
    if len(having) != 1:
        choices = list_some(_quoted(label) if label else "the top" for label in found)
        raise RunError(
            "state-dict-unclear",
            f"has no state dict {_quoted(prefix)}"
            if not having
            else f"{subject} has names that begin with {_quoted(start)} in several state dicts",
            f"there are: {choices}",
            subject=subject,
        )
    mapping = found[having[0]]
    tensors = {
        name.removeprefix(start): value
        for name, value in mapping.items()
        if name.startswith(start) and isinstance(value, Tensor)
    }
    rest = [repr(name) for name in mapping if not name.startswith(start)]
    where = f" of {_quoted(having[0])}" if having[0] else ""
    left = f"; left: {list_some(rest)}" if rest else ""
    return FoundStateDict(tensors, (f"the tensors{where} below {_quoted(start)}{left}",))


def _beside(content: Any, label: str) -> list[str]:
    """Return the keys at the top beside the one that a label begins with."""
    first = label.partition(".")[0]
    return [str(name) for name in content if name != first] if isinstance(content, Mapping) else []


# Names


def fit_names(
    given: Mapping[Any, Any], namings: Collection[Collection[str]]
) -> tuple[dict[Any, Any], tuple[str, ...]]:
    """Return a state dict by the names that fit best, and what was taken off, for people.

    What all names begin with is taken off, and wrappers inside them, where more of the expected
    names are there without.

    Args:
        given: a state dict of anybody's.
        namings: the names that are expected, each way of naming on its own.
    """
    if not given or not all(isinstance(name, str) for name in given):
        return dict(given), ()
    best, notes = dict(given), ()
    score = _overlap(best, namings)
    for leading in _common_starts(list(given)):
        without = [name.removeprefix(leading) for name in given]
        for inner in (False, True):
            names = [_without_inner(name) for name in without] if inner else without
            if len(set(names)) < len(names) or "" in names:
                continue
            changed = dict(zip(names, given.values(), strict=True))
            its_score = _overlap(changed, namings)
            if its_score > score:
                inside = [old for old, new in zip(without, names, strict=True) if old != new]
                best, score = changed, its_score
                notes = (_removed_text([leading] if leading else [], inside),)
    return best, notes


def _overlap(names: Collection[str], namings: Collection[Collection[str]]) -> int:
    return max(len(set(naming).intersection(names)) for naming in namings)


def _common_starts(names: list[str]) -> list[str]:
    """Return what all names begin with, up to each dot, the shortest first; '' is the first."""
    parts = [name.split(".")[:-1] for name in names]
    common = [
        each[0] for each in takewhile(lambda each: len(set(each)) == 1, zip(*parts, strict=False))
    ]
    return ["".join(f"{part}." for part in common[:length]) for length in range(len(common) + 1)]


def _without_leading(names: list[str]) -> tuple[list[str], str]:
    """Return names without the wrappers before all of them, and these."""
    removed = ""
    for start in _common_starts(names):
        if all(part in WRAPPERS for part in start.split(".")[:-1]):
            removed = start
    return [name.removeprefix(removed) for name in names], removed


def _without_inner(name: str) -> str:
    first, *rest = name.split(".")
    return ".".join([first, *(part for part in rest if part not in WRAPPERS)])


def _removed_text(leading: list[str], inside: list[str]) -> str:
    parts = [f"{_quoted(start)} taken off before every name" for start in leading]
    if inside:
        wrappers = dict.fromkeys(
            part for name in inside for part in name.split(".")[1:] if part in WRAPPERS
        )
        shown = list_some(_quoted(f"{wrapper}.") for wrapper in wrappers)
        parts.append(f"{shown} taken out of {len(inside)} names")
    return ", ".join(parts)


def _quoted(text: str) -> str:
    return f"'{printable(text)}'"
