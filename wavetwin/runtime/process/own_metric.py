"""Make a metric of a project's own from its class or function, and read the number that it gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from numbers import Real
from typing import Any

import torch
import torch.distributed
from torch import Tensor

from wavetwin.runtime.process.random_streams import seeded

__all__ = ["MetricError", "call_metric", "make_metric"]

_ONE_NUMBER = "a metric gives one finite number"
_KINDS = "a metric is a function of logits and labels, or a class with `update` and `compute`"
Metric = Callable[[Tensor, Tensor], Any]


class MetricError(Exception):
    """What is named is no metric, or gives no finite number.

    Args:
        text: what is wrong, after the metric's name.
        help: what a metric is, or gives.
    """

    def __init__(self, text: str, help: str = _ONE_NUMBER) -> None:
        super().__init__(text)
        self.help = help


def make_metric(made: Any, arguments: Mapping[str, Any]) -> Metric:
    """Return what a metric is called by: logits and labels to whatever it gives.

    Args:
        made: a function of both and of the arguments, or a class that is constructed with these: of objects
            with `update` and `compute`, or of such that are called.
        arguments: by keyword.

    Raises:
        MetricError: it is neither; and whatever its constructor raises.
    """
    if not isinstance(made, type):
        if not callable(made):
            raise MetricError("is no function and no class", _KINDS)
        return partial(made, **arguments)
    metric: Any = made(**arguments)
    if callable(getattr(metric, "update", None)) and callable(getattr(metric, "compute", None)):

        def update_and_compute(logits: Tensor, labels: Tensor) -> Any:
            metric.update(logits, labels)
            return metric.compute()

        return update_and_compute
    if not callable(metric):
        raise MetricError("is a class whose objects are no metrics", _KINDS)
    return metric


def call_metric(make: Callable[[], Metric], logits: Tensor, labels: Tensor, seed: int = 0) -> float:
    """Return the number of a metric that is made anew, with every generator seeded.

    It gets copies, outside of inference mode: what it does to them changes nothing, and it may take gradients
    of its own. It sees no other processes: it has the images of all.

    Args:
        make: makes it.
        logits: float32 (images, classes), on the CPU.
        labels: int64 (images,).
        seed: of what it draws.

    Raises:
        MetricError: it gives no finite number; and whatever its code raises.
    """
    with torch.inference_mode(mode=False), seeded(seed), torch.device("cpu"), _as_one_process():
        return _number(make()(logits.clone(), labels.clone()))


@contextmanager
def _as_one_process() -> Iterator[None]:
    """Let torch say that no processes are joined: torchmetrics would wait for what others have seen."""
    found = torch.distributed.is_initialized
    torch.distributed.is_initialized = lambda: False
    try:
        yield
    finally:
        torch.distributed.is_initialized = found


def _number(value: Any) -> float:
    """Return a number of Python's, of NumPy's, or of a tensor or array that has one value.

    Raises:
        MetricError: it is none, or not finite.
    """
    shape = getattr(value, "shape", None)
    if shape is not None:
        if tuple(shape) != ():
            raise MetricError(f"gives {type(value).__name__} of shape {tuple(shape)}")
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real):
        raise MetricError(f"gives {type(value).__name__}")
    number = float(value)
    if not math.isfinite(number):
        raise MetricError(f"gives {number}")
    return number
