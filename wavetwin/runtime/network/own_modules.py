"""Construct modules of a user's project, with values that follow from a seed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import nn

from wavetwin.ir.node import Node
from wavetwin.ir.operations import UserModule
from wavetwin.runtime.process.own_code import install_sources, load_named
from wavetwin.runtime.process.random_streams import seeded

__all__ = ["construct", "load_own", "make_anew"]


def construct(
    sources: Mapping[str, bytes], file: str, name: str, arguments: Mapping[str, Any]
) -> nn.Module:
    """Return a module of a file of a project, by the contents of that and of what it imports.

    It is constructed on the CPU, where tensors have values, and moved to the default device.
    """
    device = torch.get_default_device()
    kind = load_own(sources, file, name)
    with torch.device("cpu"):
        module: nn.Module = kind(**arguments)
    return module.to(device)


def load_own(sources: Mapping[str, bytes], file: str, name: str) -> Any:
    """Return a class or function of a project, from a package of these contents alone."""
    text = "".join(f"{path}\0{sha256(sources[path]).hexdigest()}\n" for path in sorted(sources))
    package = f"project_{sha256(text.encode()).hexdigest()[:16]}"
    if package not in sys.modules:
        install_sources(sources, Path(package), package)
    return load_named(file, name, package)


def make_anew(model: nn.Module, node: Node, seed: int) -> None:
    """Put a module in the place of a node's, constructed with every generator seeded.

    It has the device, the type and the mode of the one before.
    """
    operation = node.operation
    assert isinstance(operation, UserModule)
    before = model.get_submodule(node.id)
    with seeded(seed), torch.device("cpu"):
        module = type(before)(**operation.keywords)
    for tensor in (*before.parameters(), *before.buffers()):
        module.to(tensor.device, tensor.dtype if tensor.is_floating_point() else None)
        if tensor.is_floating_point():
            break
    module.train(before.training)
    parent, _, name = node.id.rpartition(".")
    model.get_submodule(parent).add_module(name, module)
