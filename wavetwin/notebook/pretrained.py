"""Load a network from a folder that `wavetwin export hub` wrote: its spec, and its weights.

The folder may come from anywhere: it is data. Nothing of it is run, and it can name no file outside of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.compiler.parse.compose import SourceCache, load_spec
from wavetwin.compiler.resolve.own_code import find_own_code
from wavetwin.compiler.validate.spec import validate
from wavetwin.diagnostics import CompileError
from wavetwin.diagnostics.listing import list_some
from wavetwin.files.json_text import parse_json
from wavetwin.files.tensor_shapes import read_tensor_shapes
from wavetwin.runtime.process.errors import RunError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["CARD", "CONFIG", "METADATA", "WEIGHTS", "Pretrained", "read_pretrained"]

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
METADATA = "wavetwin"
"""Key of the weights' metadata: what they are of, as JSON."""
_REMEDY = "copy the folder again, whole, or let `wavetwin export hub` write it"
_LARGEST_CONFIG = 1 << 20
"""Bytes."""


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A network with its weights, and what they are of."""

    model: nn.Module
    """In evaluation mode, on the CPU; it takes normalised images."""
    compiled: Compiled
    classes: tuple[str, ...]
    """Names in the order of the outputs."""


def read_pretrained(folder: Path) -> Pretrained:
    """Return the network of a folder.

    Raises:
        RunError: the folder is none of `wavetwin export hub`, or is damaged; spec and weights do not
            belong together; its spec names code.
        CompileError: its spec is not one of this version of wavetwin.
    """
    compiled = _compile(folder)
    content = _read(folder / WEIGHTS)
    about = _metadata(content, folder / WEIGHTS)
    if about.get("model_digest") != compiled.model_digest:
        raise RunError(
            "hub-folder-wrong",
            f"has the weights of another network than {CONFIG} says",
            _REMEDY,
            subject=folder,
        )
    _check_shapes(compiled, folder / WEIGHTS)
    classes = about.get("classes")
    if not isinstance(classes, list) or not all(isinstance(each, str) for each in classes):
        raise RunError(
            "hub-folder-wrong", "does not name its classes", _REMEDY, subject=folder / WEIGHTS
        )
    import torch

    from wavetwin.notebook.network import build_network
    from wavetwin.runtime.training.checkpoint import load_weights_bytes

    with torch.inference_mode(False):
        model = build_network(compiled)
        load_weights_bytes(model, content, folder / WEIGHTS)
    return Pretrained(model.eval(), compiled, tuple(classes))


def _compile(folder: Path) -> Compiled:
    """Compile the folder's spec, which neither extends a file nor names code."""
    file = folder / CONFIG
    content = _read(file)
    if len(content) > _LARGEST_CONFIG:
        raise RunError("hub-folder-wrong", "is too large for a spec", _REMEDY, subject=file)
    try:
        document = parse_json(content)
    except ValueError as error:
        raise RunError("hub-folder-wrong", "is no JSON", _REMEDY, subject=file) from error
    if not isinstance(document, dict) or "extends" in document:
        raise RunError(
            "hub-folder-wrong", "is no spec with every value filled in", _REMEDY, subject=file
        )
    cache = SourceCache(folder)
    spec, faults = validate(load_spec(file, folder, (), cache), cache)
    if spec is None:
        raise CompileError(faults)
    own = [path for path, _ in find_own_code(spec)]
    if own:
        raise RunError(
            "hub-folder-wrong",
            f"names code of its maker's ({list_some(own)}), which is not run",
            "ask for the project that it was trained in",
            subject=file,
        )
    return compile_spec(file, project=folder, cache=cache)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise RunError(
            "hub-folder-wrong", f"cannot be read: {reason}", _REMEDY, subject=file
        ) from error


def _metadata(content: bytes, file: Path) -> Mapping[str, Any]:
    """Return what the weights' header says that they are of."""
    try:
        length = int.from_bytes(content[:8], "little")
        about = parse_json(parse_json(content[8 : 8 + length])["__metadata__"][METADATA])
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            "hub-folder-wrong", "does not say what its weights are of", _REMEDY, subject=file
        ) from error
    if not isinstance(about, dict):
        raise RunError(
            "hub-folder-wrong", "does not say what its weights are of", _REMEDY, subject=file
        )
    return about


def _check_shapes(compiled: Compiled, file: Path) -> None:
    """Compare names and shapes before memory is taken for a network of any size."""
    import torch

    from wavetwin.runtime.network.build import build_module

    found = read_tensor_shapes(file)
    with torch.device("meta"):
        model = build_module(compiled.optimised_graph, plan=compiled.plan)
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if found != wanted:
        names = sorted(
            name
            for name in {*(found or {}), *wanted}
            if (found or {}).get(name) != wanted.get(name)
        )
        raise RunError(
            "weights-do-not-fit",
            "is of another model, or damaged",
            _REMEDY,
            subject=file,
            notes=[f"tensors: {list_some(names)}"],
        )
