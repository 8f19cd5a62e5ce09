"""Evaluate a network through torch.compile, where that is asked for (`--compile`)."""

from __future__ import annotations

from torch import nn

from wavetwin.runtime.process.compilers import check_compiler
from wavetwin.runtime.training.compiled_network import CompiledNetwork

__all__ = ["check_evaluation_compiler", "compile_for_evaluation"]

_REMEDY = "evaluate without --compile"


def check_evaluation_compiler() -> None:
    """Refuse an evaluation that is to be compiled where nothing compiles.

    Raises:
        RunError: there is no C++ compiler.
    """
    check_compiler("--compile", _REMEDY)


def compile_for_evaluation(model: nn.Module) -> nn.Module:
    """Return a model's compiled form; where it cannot be compiled, its first call says so, and fails.

    Raises:
        RunError: there is no C++ compiler.
    """
    check_evaluation_compiler()
    return CompiledNetwork(model, _REMEDY)
