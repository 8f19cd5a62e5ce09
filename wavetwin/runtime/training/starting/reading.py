"""Hold a file's tensors against a network, and take what was asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from wavetwin.diagnostics.listing import list_some
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.operations import UserModule
from wavetwin.ir.parameters import Parameter
from wavetwin.ir.starting_weights import StartingWeights, find_state, is_asked_for
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.training.starting.conversion import (
    Matched,
    describe_not_finite,
    match_state_dict,
)
from wavetwin.runtime.training.starting.fresh_stem import fresh_stem
from wavetwin.runtime.training.starting.plain_network import plain_network
from wavetwin.runtime.training.starting.projection import Projection, project_weights
from wavetwin.runtime.training.starting.reference_names import reference_module
from wavetwin.runtime.training.starting.start_record import StartRecord
from wavetwin.runtime.training.starting.tensor_checks import COUNTER, TensorFault, WeightsError

__all__ = ["Found", "Reading"]

_FEWER = (
    "load fewer weights.parts, or set weights.on_mismatch to skip, which loads what fits and names the "
    "rest"
)


@dataclass(frozen=True, slots=True)
class Found:
    """What of a file is taken."""

    state: dict[str, Tensor]
    """By the network's names."""
    matched: Matched
    used: Set[str]
    """What of `matched.state` went into it."""
    faults: tuple[TensorFault, ...]
    """What does not agree of what was asked for."""
    own: tuple[str, ...] = ()
    """Layers of the project's own that were asked for, and that the file has nothing of."""
    projection: Projection | None = None


class Reading:
    """Takes from state dicts what a spec asks for.

    Args:
        graph: of the network, as written.
        weights: what is asked for.
        file: that the tensors are of, for errors.
    """

    def __init__(self, graph: ModuleGraph, weights: StartingWeights, file: Path) -> None:
        self.graph, self.weights, self.file = graph, weights, file
        self.state = {each.name: each for each in find_state(graph)}
        self.asked = {name for name, each in self.state.items() if self._is_asked(graph, each)}

    def of_network(self, tensors: Mapping[str, Tensor]) -> Found:
        """Take the tensors of a file of this network, or what a twin has in common with its CNN."""
        found = self._taken(match_state_dict(self.graph, tensors))
        plain = plain_network(self.graph) if found.faults else None
        if plain is None:
            return found
        of_plain = self._taken(match_state_dict(plain, tensors))
        return of_plain if len(of_plain.faults) < len(found.faults) else found

    def of_cnn(self, tensors: Mapping[str, Tensor], seed: int) -> Found:
        """Fit the first layer to that of a CNN's file, and take the rest.

        Raises:
            RunError: there is no such CNN, or the file has no first layer of it.
        """
        plain = plain_network(self.graph)
        if plain is None:
            raise RunError(
                "projection-does-not-apply",
                "no CNN is known that this network is a twin of: it has no free channels, and lists its "
                "layers itself",
                "remove weights.stem",
                subject=self.graph.name,
            )
        matched = match_state_dict(plain, tensors)
        missing = [fault for fault in matched.faults if (fault.own_name or "").startswith("stem.")]
        if missing:
            raise WeightsError(
                f"the CNN that {self.graph.name} is a twin of ({self.file})",
                tuple(missing),
                "stem: project takes the first layer of a plain CNN with this trunk, whose kernels have "
                "the size of the twin's free ones",
            )
        asked = {each.name: each for each in find_state(plain) if self._is_asked(plain, each)}
        known = {each.name for each in find_state(plain)}
        faults, own = self._without_own_layers(
            matched,
            (
                fault
                for fault in matched.faults
                if fault.own_name not in known or fault.own_name in asked
            ),
        )
        used = matched.state.keys() & asked.keys()
        self._check_finite({name: matched.state[name] for name in used})
        initial = dict(fresh_stem(self.graph, seed).state_dict())
        projection = project_weights(self.graph, plain, matched.state, initial)
        state = {name: value for name, value in projection.state.items() if name in self.asked}
        return Found(state, matched, used, faults, own, projection)

    def remedy(self, found: Found) -> str:
        """Return what helps where tensors do not agree."""
        classifier, matched = self.graph.classifier, found.matched
        names = [fault.own_name or "" for fault in found.faults]
        if classifier is not None and all(name.startswith(f"{classifier.id}.") for name in names):
            return (
                "the classifiers alone differ: set weights.classifier to new, which begins the last "
                "layer anew, for other classes"
            )
        if matched.whole_below:
            options = list_some(matched.whole_below, " or ")
            return (
                "the network's names are there below a part of the names: set weights.state_dict to "
                f"{options}"
            )
        if self.weights.stem == "load" and any(name.startswith("stem.wavelet.") for name in names):
            return (
                "of a CNN's weights a twin takes weights.parts: [trunk], or all of them with "
                f"weights.stem: project; {_FEWER}"
            )
        why = matched.why_own_names if any(f.kind == "missing" for f in found.faults) else None
        return f"{why}; {_FEWER}" if why else _FEWER

    def record(self, found: Found, sha256: str, notes: tuple[str, ...]) -> StartRecord:
        """Return what a run records of its start.

        Args:
            found: what is taken.
            sha256: of the file.
            notes: on what was chosen from the file, for people.
        """
        loaded = [self.state[name] for name in self.state if name in found.state]
        projection = found.projection
        own = [f"nothing in it is of {each}, a layer of the project's own" for each in found.own]
        return StartRecord(
            weights=self.weights.describe(),
            file=self.weights.file,
            sha256=sha256,
            notes=(*notes, *found.matched.notes, *own),
            loaded=tuple(each.name for each in loaded),
            num_parameters=sum(each.count for each in loaded if self._is_weight(each)),
            fresh=tuple(name for name in self.state if name not in found.state),
            left_over=tuple(_left_over(found)),
            mismatches=tuple(f"{each.kind}: {each.name} {each.text}" for each in found.faults),
            order=() if projection is None else projection.order,
            channels=() if projection is None else projection.channels,
        )

    def _is_asked(self, graph: ModuleGraph, each: Parameter) -> bool:
        return is_asked_for(graph, self.weights, each)

    def _is_weight(self, each: Parameter) -> bool:
        """Return whether a tensor is a parameter, not a running statistic."""
        source = self.graph.by_id[each.node.inputs[0]]
        return each.label in each.node.operation.weights(source.output_shape)

    def _taken(self, matched: Matched) -> Found:
        """Return what of the matched tensors is asked for, and what does not agree of that."""
        state = {
            name: value
            for name, value in matched.state.items()
            if name in self.asked and tuple(value.shape) == self.state[name].shape
        }
        self._check_finite(state)
        faults = [fault for fault in matched.faults if self._concerns(fault, matched)]
        named = {fault.own_name for fault in faults}
        for name, each in self.state.items():
            if name in self.asked and name not in state and name not in named:
                given = matched.state.get(name)
                kind = "missing" if given is None else "of another shape"
                text = "" if given is None else f"{tuple(given.shape)} instead of "
                faults.append(TensorFault(kind, name, name, f"{text}{each.shape}"))
        return Found(state, matched, state.keys(), *self._without_own_layers(matched, faults))

    def _without_own_layers(
        self, matched: Matched, faults: Iterable[TensorFault]
    ) -> tuple[tuple[TensorFault, ...], tuple[str, ...]]:
        """Return the faults but those of own layers that the file has nothing of, and these layers.

        Nobody else's file has a layer of the project's own, or one of before it was written. What the file
        has of the layer whose place it takes is left there. A layer that `parts` name has to be there.
        """
        absent: list[str] = []
        starts: list[str] = []
        for node in self.graph:
            start = f"{node.id}."
            if (
                not isinstance(node.operation, UserModule)
                or any(f"{part}.".startswith(start) for part in self.weights.parts)
                or any(name.startswith(start) for name in matched.state)
                or any(
                    fault.kind != "missing" and (fault.own_name or "").startswith(start)
                    for fault in matched.faults
                )
            ):
                continue
            starts += [start, reference_module(self.graph, node) or start]
            if any(name.startswith(start) for name in self.asked):
                absent.append(node.id)
        places = tuple(starts)
        kept = (
            fault
            for fault in faults
            if not (fault.kind == "missing" and (fault.own_name or "").startswith(places))
            and not (fault.kind == "left over" and fault.name.startswith(places))
        )
        return tuple(kept), tuple(absent)

    def _concerns(self, fault: TensorFault, matched: Matched) -> bool:
        """Return whether a fault is of what was asked for."""
        own = fault.own_name
        if own in self.state:
            return own in self.asked
        if not self.weights.parts:
            # A CNN's first layer is nothing that a twin has.
            return own is None or own in self.graph.by_id
        if own is not None:
            return any(f"{own}.".startswith(f"{part}.") for part in self.weights.parts)
        return self._lies_in_parts(fault.name, matched)

    def _lies_in_parts(self, name: str, matched: Matched) -> bool:
        """Return whether a name that is left over stands among those that were asked for.

        Some beginning of it is one of names of the network's, and all of these were asked for.
        """
        steps = name.split(".")
        for depth in range(1, len(steps)):
            start = ".".join(steps[:depth]) + "."
            own = [ours for theirs, ours in matched.names.items() if theirs.startswith(start)]
            if own and all(each in self.asked for each in own):
                return True
        return False

    def _check_finite(self, taken: Mapping[str, Tensor]) -> None:
        bad = [
            name
            for name, value in taken.items()
            if value.is_floating_point() and not bool(value.isfinite().all())
        ]
        if bad:
            raise RunError(
                "not-finite",
                f"has {describe_not_finite(tuple(bad))}",
                "start from other weights, or take these out of weights.parts",
                subject=self.file,
            )


def _left_over(found: Found) -> Iterator[str]:
    """Yield the file's tensors that nothing took, by the file's names."""
    matched = found.matched
    there: Collection[str | None] = matched.state.keys() | {
        fault.own_name for fault in matched.faults if fault.kind != "missing"
    }
    for theirs, ours in matched.names.items():
        # Counters that the file lacks were set to 0.
        is_set = matched.sets_counters and theirs.endswith(COUNTER)
        if ours in there and ours not in found.used and not is_set:
            yield theirs
    yield from (fault.name for fault in matched.faults if fault.kind == "left over")
