"""Try code of a user's project in a process of its own: what it has, takes and gives.

Each trial returns plain values, or raises `TrialError`, which says whose fault it is and where.
Nothing is trained and no image is read: tensors are on the meta device where shapes are all that counts.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from wavetwin.ir.own_code import package_of
from wavetwin.runtime.process.own_code import exception_text, load_named, locate_fault
from wavetwin.runtime.process.own_metric import MetricError, call_metric, make_metric

__all__ = ["TRIALS", "TrialError", "try_layer", "warm_up"]

_BATCHES = (2, 3)
_IMAGES_A_CLASS = 4
"""Of the logits that a metric is tried with."""
_NORMS = (
    nn.modules.batchnorm._NormBase,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.RMSNorm,
)
_DROPOUT = nn.modules.dropout._DropoutNd


class TrialError(Exception):
    """The code is not what its place in a spec needs."""

    def __init__(
        self, code: str, headline: str, notes: Sequence[str] = (), help: str = "", key: str = ""
    ) -> None:
        super().__init__(headline)
        self.code, self.headline, self.notes, self.help = code, headline, list(notes), help
        self.key = key
        """The field that is at fault; empty: all of them."""

    def to_json(self) -> dict[str, Any]:
        """Return the fault as the compiler reads it."""
        return {
            "code": self.code,
            "headline": self.headline,
            "notes": self.notes,
            "help": self.help,
            "key": self.key,
        }


@contextmanager
def _running(what: str, help: str = "") -> Iterator[None]:
    """Report what the user's code raises meanwhile.

    Args:
        what: is run.
        help: for what others raise that it calls.
    """
    try:
        yield
    except TrialError:
        raise
    except Exception as error:
        at = locate_fault(error)
        notes = [] if at is None else [f"raised at: {at}"]
        is_own = at is not None and at.is_innermost
        raise TrialError(
            "own-code-failed",
            f"{what} raises {exception_text(error)}",
            notes,
            "" if is_own else help,
        ) from error


def _load(file: str, name: str) -> Any:
    with _running(f"{file}, when it is imported,"):
        try:
            return load_named(file, name)
        except ModuleNotFoundError as error:
            at = locate_fault(error)
            package = package_of(error.name or "")
            raise TrialError(
                "own-code-imports",
                f"{file} imports {error.name}, which is not found",
                [] if at is None else [f"raised at: {at}"],
                f"pip install {package}"
                if package is not None
                else "files of the project are imported from each other by relative imports, "
                "such as `from .blocks import Block`",
            ) from error


def _bind(
    made: Callable[..., Any], name: str, arguments: Mapping[str, Any], first: int = 0
) -> None:
    """Hold arguments against a signature, which begins with some that are given by position."""
    try:
        signature = inspect.signature(made)
    except (TypeError, ValueError):
        return  # of what has none, calling it shows whether they fit
    try:
        signature.bind(*[None] * first, **arguments)
    except TypeError as error:
        raise TrialError(
            "own-code-arguments",
            f"{name} does not take these arguments: {error}",
            help=f"its signature is {name}{signature}",
            key="arguments",
        ) from error


def warm_up() -> None:
    """Let torch import all that it imports for its first work on the meta device."""
    module = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)).to("meta")
    with torch.no_grad(), FlopCounterMode(display=False):
        module(torch.empty(2, 1, 2, 2, device="meta"))


def try_layer(
    file: str, name: str, arguments: Mapping[str, Any], shape: Sequence[int]
) -> dict[str, Any]:
    """Return what a module has, and what it gives for images of a shape.

    It is constructed on the CPU, as a training does, and moved to the meta device.
    """
    kind = _load(file, name)
    if not isinstance(kind, type) or not issubclass(kind, nn.Module):
        raise TrialError(
            "own-code-unknown-name",
            f"{name} of {file} is no subclass of torch.nn.Module",
            help="a layer is a class derived from nn.Module",
            key="name",
        )
    _bind(kind, name, arguments)
    with _running(f"{name}, when it is constructed,"):
        module: nn.Module = kind(**arguments)
    state = _describe_state(name, module)
    with _running(f"{name}, when it is moved to another device,"):
        module.to("meta")
    takes = ", ".join(map(str, ("batch", *shape)))
    help_text = (
        "layers are tried on the meta device: tensors that are neither parameters nor buffers do not "
        "move there, as they would not to a GPU, and no shape may follow from values"
    )
    found: dict[tuple[bool, int], tuple[int, ...]] = {}
    with _running(f"{name}, when it is called with ({takes}),", help_text), torch.no_grad():
        for is_training in (False, True):
            module.train(is_training)
            for batch in _BATCHES:
                found[is_training, batch] = _output_shape(name, module, batch, shape)
        module.eval()
        with FlopCounterMode(display=False) as counter:
            module(torch.empty(_BATCHES[0], *shape, device="meta"))
    gives = _same_shape(name, found)
    takes_one_image = True
    try:
        with torch.no_grad():
            module.train()(torch.empty(1, *shape, device="meta"))
    except Exception:
        takes_one_image = False  # a batch norm of one value a channel
    inside = dict(module.named_modules())
    return {
        "gives": gives,
        **state,
        "norms": [each for each, part in inside.items() if isinstance(part, _NORMS)],
        "batch_norms": [
            each
            for each, part in inside.items()
            if isinstance(part, nn.modules.batchnorm._BatchNorm)
        ],
        "num_macs": counter.get_total_flops() // (2 * _BATCHES[0]),
        "takes_one_image": takes_one_image,
        "draws": any(isinstance(part, _DROPOUT) for part in inside.values()),
    }


def _describe_state(name: str, module: nn.Module) -> dict[str, Any]:
    """Return parameters and buffers; what no weights file can hold is refused."""
    parameters = dict(module.named_parameters())
    if any(nn.parameter.is_lazy(each) for each in (*parameters.values(), *module.buffers())):
        raise _unfit(name, "has parameters without shapes", "give its constructor the sizes")
    if len(list(module.named_parameters(remove_duplicate=False))) != len(parameters):
        raise _unfit(name, "has one parameter under two names", "use the same one in `forward`")
    other = [each for each, value in parameters.items() if value.dtype != torch.float32]
    if other:
        raise _unfit(
            name, f"has a parameter {other[0]} of {parameters[other[0]].dtype}", "make it float32"
        )
    kept = module.state_dict()
    buffers = dict(module.named_buffers())
    extra = sorted(kept.keys() - parameters.keys() - buffers.keys())
    if extra:
        raise _unfit(
            name, f"keeps {extra[0]} in its state dict, which is no tensor", "use buffers alone"
        )
    return {
        "parameters": [
            [key, [*each.shape], each.requires_grad] for key, each in parameters.items()
        ],
        "buffers": [
            [key, [*each.shape], key in kept, each.is_floating_point()]
            for key, each in buffers.items()
        ],
    }


def _output_shape(
    name: str, module: nn.Module, batch: int, shape: Sequence[int]
) -> tuple[int, ...]:
    out = module(torch.empty(batch, *shape, device="meta"))
    if not isinstance(out, Tensor):
        raise _unfit(name, f"gives {type(out).__name__}, not a tensor", "return one tensor")
    if out.dtype != torch.float32:
        raise _unfit(name, f"gives {out.dtype}, not torch.float32", "return real numbers")
    size = tuple(out.shape)
    if size[:1] != (batch,):
        raise _unfit(
            name,
            f"gives {size} for a batch of {batch}",
            "the first dimension of what a layer takes and gives is the batch",
        )
    if len(size) not in (2, 4) or min(size) < 1:
        raise _unfit(
            name,
            f"gives {size}",
            "a layer gives (batch, channels, height, width) or (batch, features)",
        )
    return size[1:]


def _same_shape(name: str, found: Mapping[tuple[bool, int], tuple[int, ...]]) -> list[int]:
    shapes = list(dict.fromkeys(found.values()))
    if len(shapes) > 1:
        shown = " and ".join(map(str, shapes))
        raise _unfit(
            name,
            f"gives other shapes in training than in evaluation, or for other batches: {shown}",
            "what follows has one number of weights",
        )
    return [*shapes[0]]


def _unfit(name: str, what: str, help: str) -> TrialError:
    return TrialError("own-code-does-not-fit", f"{name} {what}", help=help)


def try_loss(
    file: str, name: str, arguments: Mapping[str, Any], classes: int, takes_shares: bool
) -> dict[str, Any]:
    """Return nothing: a loss is called with random logits, and its gradient taken.

    Args:
        file: that has it.
        name: a function, or a class that is constructed.
        arguments: of the function beside logits and targets, or of the constructor.
        classes: of the logits.
        takes_shares: whether targets are shares of the classes, as mixed images have them.
    """
    loss = _made(file, name, arguments, 2)
    if isinstance(loss, nn.Module) and any(True for _ in loss.parameters()):
        raise _unfit(name, "has parameters, which no optimiser has", "use buffers, or a layer")
    images = _BATCHES[0]
    logits = torch.zeros(images, classes).normal_().requires_grad_()
    targets = torch.arange(images) % classes
    if takes_shares:
        targets = nn.functional.one_hot(targets, classes).float()
    kind = "shares of the classes" if takes_shares else "classes"
    with _running(f"{name}, when it is called with logits ({images}, {classes}) and {kind},"):
        value = loss(logits, targets)
    if not isinstance(value, Tensor) or value.shape != () or value.dtype != torch.float32:
        shown = f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value)
        raise _unfit(
            name, f"gives {shown}", "a loss gives one number, a float32 tensor of shape ()"
        )
    if not value.requires_grad:
        raise _unfit(name, "has no gradient", "compute it from the logits by torch")
    with _running(f"the gradient of {name}"):
        value.backward()
    return {}


def try_transform(
    file: str, name: str, arguments: Mapping[str, Any], shape: Sequence[int]
) -> dict[str, Any]:
    """Return nothing: a transform is called with random images of a shape, twice of one seed."""
    transform = _made(file, name, arguments, 1)
    shown = ", ".join(map(str, shape))
    results: list[Tensor] = []
    for _ in range(2):
        torch.manual_seed(0)
        image = torch.randint(0, 256, tuple(shape), dtype=torch.uint8)
        with _running(f"{name}, when it is called with one image ({shown}) of bytes,"):
            found = transform(image)
        if not isinstance(found, Tensor) or found.dtype != torch.uint8:
            given = found.dtype if isinstance(found, Tensor) else type(found).__name__
            raise _unfit(name, f"gives {given}, not a tensor of torch.uint8", "return bytes")
        if found.shape != image.shape:
            raise _unfit(
                name, f"gives {tuple(found.shape)} for ({shown})", "images keep their shape"
            )
        results.append(found.clone())
    if not torch.equal(*results):
        raise _unfit(
            name,
            "gives two results for the same image and seed",
            "draw from torch's global generator alone, which every image seeds, and keep no state",
        )
    return {}


def try_metric(file: str, name: str, arguments: Mapping[str, Any], classes: int) -> dict[str, Any]:
    """Return nothing: a metric is called twice with the same random logits, and with others in between.

    Args:
        file: that has it.
        name: of a function or a class, as `make_metric` takes them.
        arguments: of the function beside logits and labels, or of the constructor.
        classes: of the logits; each has several images.
    """
    made = _load(file, name)
    if callable(made):
        _bind(made, name, arguments, 0 if isinstance(made, type) else 2)
    images = _IMAGES_A_CLASS * classes
    torch.manual_seed(0)
    logits = torch.randn(images, classes)
    labels = torch.arange(images) % classes
    shown = f"logits ({images}, {classes}) and labels ({images},)"
    found: list[float] = []
    for asked, known in ((logits, labels), (-logits, labels.flip(0)), (logits, labels)):
        with _running(f"{name}, when it is called with {shown},"):
            try:
                value = call_metric(lambda: make_metric(made, arguments), asked, known)
            except MetricError as error:
                raise _unfit(name, str(error), error.help) from error
        found.append(value)
    if found[0] != found[2]:
        raise _unfit(
            name,
            f"gives {found[0]:g} and {found[2]:g} for the same logits and labels",
            "keep nothing from call to call, and draw from generators that torch, NumPy or Python seed",
        )
    return {}


def _made(file: str, name: str, arguments: Mapping[str, Any], first: int) -> Callable[..., Any]:
    """Return a function with its arguments, or what a class makes of them; it takes `first` others."""
    made = _load(file, name)
    if isinstance(made, type):
        _bind(made, name, arguments)
        with _running(f"{name}, when it is constructed,"):
            made = made(**arguments)
    elif callable(made):
        _bind(made, name, arguments, first)
        return partial(made, **arguments)
    if not callable(made):
        raise TrialError(
            "own-code-unknown-name", f"{name} of {file} is no function, nor makes one", key="name"
        )
    return made


TRIALS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "layer": try_layer,
    "loss": try_loss,
    "transform": try_transform,
    "metric": try_metric,
}
"""By the name in a request."""
