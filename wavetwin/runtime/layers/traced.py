"""Keep layers whole under `torch.fx`'s symbolic tracing: one call each, as torch's own are.

What a layer does depends on sizes, layouts and devices, which a trace does not have. torch leaves its
own layers whole in a trace, by their package; these say it themselves.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.fx import Proxy
from torch.fx.proxy import TracerBase


class Layer(nn.Module):
    """Base of layers that symbolic traces call and do not look into."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        forward = cls.__dict__.get("forward")
        if forward is not None:
            setattr(cls, "forward", _traced_alone(forward))  # noqa: B010

    # Before hooks are run: they are the module's, and run when the trace calls it.
    def _call_impl(self, *args: Any, **kwargs: Any) -> Any:
        tracer: Any = _tracer(args)
        if tracer is None:
            return super()._call_impl(*args, **kwargs)
        return tracer.create_proxy("call_module", tracer.path_of_module(self), args, kwargs)


def _traced_alone(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Return a layer's `forward` for traces whose root is the layer itself, which call it directly."""

    @functools.wraps(forward)
    def called(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        tracer: Any = _tracer(args)
        if tracer is None:
            return forward(self, *args, **kwargs)
        root = nn.Module()
        root.add_module("layer", self)
        tracer.root = root
        return tracer.create_proxy("call_module", "layer", args, kwargs)

    return called


def _tracer(values: tuple[Any, ...]) -> TracerBase | None:
    """Return the tracer that one of the values stands for a value in."""
    for value in values:
        if isinstance(value, Proxy):
            return value.tracer
        if isinstance(value, tuple):
            for part in value:
                if isinstance(part, Proxy):
                    return part.tracer
    return None


def leaf_modules(model: nn.Module) -> list[type[nn.Module]]:
    """Return the kinds of a model's layers that a symbolic trace is not to look into.

    `torch.fx.symbolic_trace` and torchvision's `create_feature_extractor` need no list. Tracers that
    ask do: `create_feature_extractor(model, nodes, tracer_kwargs={"leaf_modules": leaf_modules(model)})`.
    """
    kinds = dict.fromkeys(type(module) for module in model.modules() if isinstance(module, Layer))
    return list(kinds)
