"""Compile a network by torch.compile, so that a batch's bits do not depend on the batches before."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from wavetwin.runtime.process.errors import RunError

__all__ = ["CompiledNetwork"]

_SHAPES = 64
"""Batches of so many sizes are compiled each for itself: full ones, the last, parts, and damaged ones."""


class CompiledNetwork(nn.Module):
    """A network whose forward and backward pass are compiled; its parameters are the network's own.

    Every shape is compiled by itself, as a whole: a graph for shapes of any size would be taken or not
    depending on what came before, and a resumed run have other bits. Dropout draws the numbers that
    it draws uncompiled.

    Args:
        model: on its device; it stays as it is, with its names, and is called uncompiled by itself.
        remedy: what to do where it cannot be compiled.
    """

    def __init__(
        self,
        model: nn.Module,
        remedy: str = "take training.compile out of the spec: another training",
    ) -> None:
        super().__init__()
        self._remedy = remedy
        torch._dynamo.config.recompile_limit = _SHAPES  # pyright: ignore[reportPrivateUsage]
        self._compiled = torch.compile(
            model,
            fullgraph=True,
            dynamic=False,
            options={"fallback_random": True, "deterministic": True},
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits.

        Raises:
            RunError: a layer cannot be compiled as a part of one graph.
        """
        try:
            return self._compiled(images)
        except _faults() as error:
            # The first line may name the compiler alone, the second then says what it raised.
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            reason = " ".join(lines[:2]) or type(error).__name__
            raise RunError(
                "not-compilable",
                f"torch.compile cannot compile the network: {reason}",
                self._remedy,
            ) from error


def _faults() -> tuple[type[BaseException], ...]:
    """Return what torch raises where it cannot compile something."""
    from torch._dynamo import exc

    found: Any = (exc.TorchDynamoException, exc.FailOnRecompileLimitHit)
    return found
