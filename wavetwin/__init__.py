"""Compile declarative vision experiments: CNNs and their wavelet twins.

`wavetwin.compile(path)` gives the resolved spec, the module graph and the training plan without
importing torch; `wavetwin.build_model(compiled)` makes the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from wavetwin.compiler.compiled import Compiled

__version__ = "0.1.0"
__all__ = ["__version__", "build_model", "compile"]


def compile(path: Path | str, overrides: Sequence[str] | None = None) -> Compiled:
    """Compile one spec file; `overrides` are texts such as `stem.free_channels=40`.

    Raises:
        CompileError: with every fault found, in file order.
    """
    from wavetwin.compiler.compiled import compile_spec

    return compile_spec(path, overrides or ())


def build_model(
    compiled: Compiled, num_classes: int | None = None, optimise: bool = True
) -> nn.Module:
    """Build the network, initialised from the spec's seed; imports torch.

    Maps (batch, channels, height, width) to (batch, classes). It has `stem` (the first layer) and
    `pool` (norm, activation and pooling up to the next convolution); `optimise` chooses the graph
    after the passes, which computes the same and has the same state dict.
    """
    from wavetwin.runtime.build import build_module, initialise

    graph = compiled.optimised_graph if optimise else compiled.graph
    model = build_module(graph, num_classes=num_classes, plan=compiled.plan)
    initialise(model, compiled.graph, compiled.plan.seed)
    return model
