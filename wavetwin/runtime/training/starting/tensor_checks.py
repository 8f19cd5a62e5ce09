"""Check a given state dict against what a model has, tensor by tensor."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from wavetwin.diagnostics.listing import some_lines
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node
from wavetwin.ir.operations import Bias, Blur, PacketMixing, Packets
from wavetwin.runtime.bank.filters import qshift_taps, wavelet_taps
from wavetwin.runtime.layers import BlurPool
from wavetwin.runtime.process.errors import RunError

__all__ = ["COUNTER", "TensorChecker", "TensorFault", "WeightsError"]

COUNTER = "num_batches_tracked"
_CONSTANT_TOLERANCE = 1e-6
"""Relative to the largest value: what float32 keeps of them, and a little more."""
_NOT_FLOATING = "instead of a floating-point type"
_NOT_WHOLE = "instead of whole numbers"


@dataclass(frozen=True, slots=True)
class TensorFault:
    """One tensor that does not agree."""

    kind: Literal["missing", "left over", "of another shape", "of another kind", "other constant"]
    name: str
    """In the given state dict."""
    own_name: str | None
    """In the model's; None where the model has no such tensor."""
    text: str
    """Shapes, or what is wrong."""


class WeightsError(RunError):
    """A state dict is not of the model; carries every tensor that does not agree."""

    def __init__(
        self, subject: str, faults: tuple[TensorFault, ...], remedy: str | None = None
    ) -> None:
        self.faults = faults
        texts: dict[str, list[str]] = {}
        for fault in faults:
            own = "" if fault.own_name in (None, fault.name) else f" = {fault.own_name}"
            texts.setdefault(fault.kind, []).append(f"{fault.name}{own} {fault.text}")
        counted = ", ".join(f"{len(lines)} {kind}" for kind, lines in texts.items())
        super().__init__(
            "weights-do-not-fit",
            f"the weights are not those of {subject}: {counted}",
            remedy,
            notes=[
                f"{kind}: {line}" for kind, lines in texts.items() for line in some_lines(lines)
            ],
        )


class TensorChecker:
    """Compares the given tensors with what the model has, and keeps every fault."""

    def __init__(
        self,
        graph: ModuleGraph,
        given: Mapping[Any, Any],
        naming: Literal["reference", "wavetwin"],
    ) -> None:
        self.nodes = {node.id: node for node in graph}
        self.given = given
        self.naming = naming
        self.faults: list[TensorFault] = []

    def add(self, kind: Any, name: str, own_name: str | None, text: str) -> None:
        """Keep a fault."""
        self.faults.append(TensorFault(kind, name, own_name, text))

    def _shape(self, own_name: str, own: Tensor) -> tuple[int, ...]:
        """Return the shape of a tensor of ours in the given naming."""
        is_mixing = own.ndim == 4 and any(
            isinstance(node.operation, PacketMixing) and own_name.startswith(f"{node.id}.")
            for node in self.nodes.values()
        )
        # The reference mixes the real and imaginary parts by a three-dimensional convolution.
        return (*own.shape, 1) if is_mixing and self.naming == "reference" else tuple(own.shape)

    def _shape_text(self, own_name: str, own: Tensor) -> str:
        """Return the shape in the given naming, and in ours where it is another."""
        shape = self._shape(own_name, own)
        return f"{shape}" if shape == tuple(own.shape) else f"{shape} = {tuple(own.shape)}"

    def tensors(
        self, names: Mapping[str, str], expected: Mapping[str, Tensor], sets_counters: bool
    ) -> dict[str, Tensor]:
        """Return the given tensors that agree, by our names; `expected` says what ours are."""
        state: dict[str, Tensor] = {}
        for name, own_name in names.items():
            own = expected[own_name]
            if name in self.given:
                value = self._tensor(name, own_name, own)
                if value is not None:
                    state[own_name] = value
            elif sets_counters and name.endswith(COUNTER):
                state[own_name] = torch.zeros((), dtype=torch.int64)
            else:
                self.add("missing", name, own_name, self._shape_text(own_name, own))
        return state

    def left_over(self, known: Set[str]) -> None:
        """Refuse every given name that is not known."""
        # Safetensors gives names in any order.
        for name in sorted(self.given, key=str):
            value = self.given[name]
            # A branch without channels keeps tensors without values: a blur's filters, (0, 1, k, k).
            is_empty = isinstance(value, Tensor) and not value.numel()
            if is_empty and self.naming == "reference" and ".low." in str(name):
                continue
            if name not in known:
                text = str(tuple(value.shape)) if isinstance(value, Tensor) else "(not a tensor)"
                self.add("left over", str(name), None, text)

    def _tensor(self, name: str, own_name: str, own: Tensor) -> Tensor | None:
        """Return a given tensor in our shape, or None if it does not agree."""
        value = self.given[name]
        if not self._is_tensor(name, own_name):
            return None
        shape = self._shape(own_name, own)
        if tuple(value.shape) != shape:
            wanted = self._shape_text(own_name, own)
            self.add(
                "of another shape", name, own_name, f"{tuple(value.shape)} instead of {wanted}"
            )
            return None
        value = value.detach()
        if name.endswith(COUNTER):
            number = float(value)
            if not (number.is_integer() and number >= 0):
                self.add("of another kind", name, own_name, f"{number} counts nothing")
                return None
            return value.to(torch.int64)
        if value.is_floating_point() != own.is_floating_point():
            wanted = _NOT_FLOATING if own.is_floating_point() else _NOT_WHOLE
            self.add("of another kind", name, own_name, f"{value.dtype} {wanted}")
            return None
        return value.reshape(own.shape)

    def constant(self, name: str, node_id: str) -> None:
        """Compare a constant of the reference's with what the model computes with.

        One that is not given is no loss: the model makes it itself.
        """
        if name not in self.given:
            return
        expected = self._constant(name, self.nodes[node_id])
        value = self.given[name]
        if not self._is_tensor(name, node_id):
            return
        if value.shape != expected.shape:
            text = f"{tuple(value.shape)} instead of {tuple(expected.shape)}"
            self.add("of another shape", name, node_id, text)
            return
        if not value.is_floating_point():
            self.add("of another kind", name, node_id, f"{value.dtype} {_NOT_FLOATING}")
            return
        # Half precision rounds the constants as it rounds the weights.
        tolerance = max(_CONSTANT_TOLERANCE, 2 * torch.finfo(value.dtype).eps)
        largest = float((value.detach().cpu().to(torch.float64) - expected).abs().max())
        # Not the other way round: a NaN differs.
        if not largest <= tolerance * float(expected.abs().max()):
            self.add("other constant", name, node_id, f"differs by up to {largest:.3g}")

    def other_classes(self, classifier: Node) -> int | None:
        """Return the classes of the given classifier where that alone does not fit."""
        own = {f"{classifier.id}.weight", f"{classifier.id}.bias"}
        if not self.faults or any(
            f.kind != "of another shape" or f.own_name not in own for f in self.faults
        ):
            return None
        classes = {self.given[fault.name].shape[:1] for fault in self.faults}
        if len(classes) != 1 or not all(classes):
            return None
        return classes.pop()[0]

    def _is_tensor(self, name: str, own_name: str) -> bool:
        value = self.given[name]
        if not isinstance(value, Tensor):
            what = type(value).__name__
        elif value.layout != torch.strided:
            what = str(value.layout)
        elif value.is_complex() or value.is_quantized:
            what = str(value.dtype)
        elif value.is_meta:
            what = "no values"
        else:
            return True
        self.add("of another kind", name, own_name, f"{what} instead of a dense real tensor")
        return False

    def _constant(self, name: str, node: Node) -> Tensor:
        """Return the value that the reference keeps under a name, float64, as the model has it."""
        operation = node.operation
        if isinstance(operation, Packets):
            taps = qshift_taps if operation.is_dual_tree else wavelet_taps
            low, high = taps(operation.filters)
            return low if name.endswith("_hfilters") else high
        if isinstance(operation, Blur):
            channels = node.output_shape[0]
            with torch.device("cpu"):
                taps_1d = BlurPool(operation.size, operation.stride).double().taps
            return torch.outer(taps_1d, taps_1d).expand(channels, 1, -1, -1)
        assert isinstance(operation, Bias), node.op
        return torch.ones((operation.channels, 1, 1, 1), dtype=torch.float64, device="cpu")
