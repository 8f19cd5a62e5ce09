"""How each operation of the graph is written in model.py: the module that a person would choose.

A table from operation to source text; `model_source` puts the pieces together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wavetwin.ir.graph import Node

WIDTH = 100
_DEFAULT_EPS, _DEFAULT_MOMENTUM = 1e-5, 0.1


@dataclass(frozen=True, slots=True)
class Call:
    """A call in source text, kept in parts so that a long one can be broken over lines."""

    name: str
    arguments: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.arguments)})"

    @property
    def layer(self) -> str | None:
        """The name to import from wavetwin.runtime.layers; None for torch's modules."""
        return None if self.name.startswith("nn.") else self.name


def assign(target: str, call: Call, indent: int = 8) -> list[str]:
    """Return `target = call` as the formatter breaks it at `indent` spaces, without these."""
    joined = ", ".join(call.arguments)
    start = f"{target} = {call.name}("
    if indent + len(f"{start}{joined})") <= WIDTH:
        return [f"{start}{joined})"]
    if indent + 4 + len(joined) <= WIDTH:
        return [start, f"    {joined}", ")"]
    return [start, *(f"    {argument}," for argument in call.arguments), ")"]


def make_layer(node: Node, inputs: Sequence[tuple[int, ...]], names: dict[str, str]) -> Call:
    """Return the call that makes a node's module.

    Args:
        node: the node.
        inputs: shapes of what it reads.
        names: source text to write in place of attributes' values (`channels` by an argument of the
            class) and of the number of input channels (`inputs`), or beside them.
    """
    facts: dict[str, Any] = {"inputs": inputs[0][0], **node.attributes}
    return MODULES[node.op]({key: literal(value) for key, value in facts.items()} | names)


def literal(value: object) -> str:
    """Return a value as ASCII source text, texts in double quotes as the formatter wants them."""
    if isinstance(value, str):
        text = ascii(value)
        inner = text[1:-1]
        if text[0] == "'" and '"' not in inner:
            return f'"{inner}"'
        return text
    return repr(value)


Values = Mapping[str, str]


def _options(values: Values, defaults: Mapping[str, object]) -> list[str]:
    """Return the keyword arguments that differ from torch's defaults."""
    return [f"{key}={values[key]}" for key, value in defaults.items() if values[key] != repr(value)]


def _conv2d(values: Values) -> Call:
    options = _options(values, {"stride": 1, "padding": 0, "groups": 1, "bias": True})
    kernel = f"kernel_size={values['kernel_size']}"
    return Call("nn.Conv2d", (values["inputs"], values["channels"], kernel, *options))


def _linear(values: Values) -> Call:
    options = _options(values, {"bias": True})
    return Call("nn.Linear", (values["inputs"], values["features"], *options))


def _norm(name: str) -> Callable[[Values], Call]:
    def make(values: Values) -> Call:
        options = _options(values, {"eps": _DEFAULT_EPS, "momentum": _DEFAULT_MOMENTUM})
        return Call(name, (values["channels"], *options))

    return make


def _pool(name: str) -> Callable[[Values], Call]:
    def make(values: Values) -> Call:
        options = _options(values, {"padding": 0})
        kernel, stride = (f"{key}={values[key]}" for key in ("kernel_size", "stride"))
        return Call(name, (kernel, stride, *options))

    return make


def _packets(values: Values) -> Call:
    is_dual_tree = values["transform"] == '"dtcwpt"'
    arguments = [f"{key}={values[key]}" for key in ("levels", "stride", "filters")]
    if values["trainable_filters"] == "True":
        arguments.append("trainable=True")
    if is_dual_tree and values.get("imaginary") == "False":
        arguments.append("imaginary=False")
    return Call("DualTreePacketMaps" if is_dual_tree else "SeparablePackets", tuple(arguments))


def _packet_mixing(values: Values) -> Call:
    options = _options(values, {"bias": False, "colours": 1})
    if "lambdas" in values:
        options.append(f"lambdas={values['lambdas']}")
    return Call("PacketMixing", (f"bands={values['bands']}", *options))


def _packet_bank(values: Values) -> Call:
    arguments = [f"{key}={values[key]}" for key in ("bands", "levels", "stride", "filters")]
    if "initial" in values:
        arguments.append(f"colour={values['initial']}")
    if values["colours"] != "1":
        arguments.append(f"colours={values['colours']}")
    if values["colour"] == '"after"':
        arguments.append("mixes_after=True")
    arguments += _options(values, {"bias": False, "subsample": 1})
    if values["complex"] == "False":
        arguments.append("imaginary=False")
    if "lambdas" in values:
        arguments.append(f"lambdas={values['lambdas']}")
    return Call("MixedPackets", (values["packets"], *arguments))


def _max_blur(values: Values) -> Call:
    keys = ("kernel_size", "padding", "size", "stride")
    return Call("MaxBlurPool", tuple(f"{key}={values[key]}" for key in keys))


def _blur(values: Values) -> Call:
    return Call("BlurPool", tuple(f"{key}={values[key]}" for key in ("size", "stride")))


def _adaptive_blur(values: Values) -> Call:
    options = [f"{key}={values[key]}" for key in ("size", "stride", "groups", "normalise")]
    return Call("AdaptiveBlur", (values["inputs"], *options))


def _bias(values: Values) -> Call:
    options = ['initial="zeros"'] if values["initial"] == '"zeros"' else []
    return Call("ChannelBias", (values["channels"], *options))


def _with(name: str, *keys: str) -> Callable[[Values], Call]:
    return lambda values: Call(name, tuple(values[key] for key in keys))


def _named(name: str, *keys: str) -> Callable[[Values], Call]:
    return lambda values: Call(name, tuple(f"{key}={values[key]}" for key in keys))


def _keep(values: Values) -> Call:
    return Call("KeepPackets", (values["packets"], *_options(values, {"colours": 1})))


MODULES: Mapping[str, Callable[[Values], Call]] = {
    "conv2d": _conv2d,
    "colour_mixing": _named("ColourMixing", "initial"),
    "packets": _packets,
    "keep_packets": _keep,
    "packet_mixing": _packet_mixing,
    "colour_mixing_after": _with("ColourMixingAfter", "outputs"),
    "real_part": _with("RealPart"),
    "interleave": _with("Interleave"),
    "deinterleave": _with("Deinterleave"),
    "slice_channels": _with("SliceChannels", "start", "stop"),
    "crop": _with("CenterCrop"),
    "crop_to_packets": _named("CropToPackets", "levels", "stride", "filters"),
    "packet_bank": _packet_bank,
    "concat": _with("Concat"),
    "subsample": _with("Subsample", "step"),
    "modulus": _with("Modulus"),
    "bias": _bias,
    "energy_norm": _norm("EnergyNorm"),
    "batch_norm": _norm("nn.BatchNorm2d"),
    "relu": _with("nn.ReLU"),
    "max_pool": _pool("nn.MaxPool2d"),
    "average_pool": _pool("nn.AvgPool2d"),
    "blur_pool": _blur,
    "max_blur_pool": _max_blur,
    "adaptive_blur": _adaptive_blur,
    "adaptive_average_pool": _with("nn.AdaptiveAvgPool2d", "output_size"),
    "flatten": _with("nn.Flatten"),
    "dropout": _with("nn.Dropout", "probability"),
    "linear": _linear,
}
"""How a node's module is made; `add` is written as a sum."""
