"""The blocks and their properties, measured; docs/blocks.md is the table.

`python -m tests.support.blocks` measures every cell and writes the table; the tests measure them again
and compare. `python -m tests.support.blocks --traced NAMES` prints what needs torch's compiler, which
cannot trace the annotations that the tests execute: it runs in a process of its own.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.support.paths import ROOT
from tests.support.shipped import compiled_once
from wavetwin.runtime.layers import (
    AdaptiveBlur,
    BlurPool,
    CenterCropConcat,
    ChannelBias,
    ColourMixing,
    ColourMixingAfter,
    Deinterleave,
    DualTreePacketMaps,
    DualTreePackets,
    EnergyNorm,
    Interleave,
    Invariant,
    KeepPackets,
    MaxBlurPool,
    MixedPackets,
    Modulus,
    PacketMixing,
    RealPart,
    Scattering2d,
    SeparablePackets,
    SliceChannels,
    Subsample,
    WaveletPool2d,
    WaveletUnpool2d,
)
from wavetwin.runtime.network.build import build_module

TABLE = ROOT / "docs/blocks.md"

PROPERTIES: dict[str, str] = {
    "gradcheck": "first derivatives are those of finite differences, in float64, in the inputs and all "
    "parameters",
    "gradgradcheck": "so are second derivatives (eager mode)",
    "float64": "float64 in, float64 out",
    "float32": "float32 in, float32 out, within 1e-5 of float64's",
    "bfloat16": "under bfloat16 autocast outputs and gradients are finite and within 2e-2 of float64's",
    "compile": "`torch.compile(fullgraph=True)`, backend aot_eager, forward and backward within 1e-5",
    "inductor": "the same with torch's default backend, inductor, within 1e-4",
    "export": "`torch.export` with batch, height and width free, checked at other sizes, odd ones too",
    "onnx": "the exported program as ONNX, sizes free; onnxruntime's outputs within 1e-4. ONNX has no "
    "complex numbers: a complex output there has its parts on a last axis of two",
}
"""Every property and what it means; deviations are relative to the largest value expected."""

TRACED = ("compile", "inductor", "export", "onnx")
TOGETHER = ("compile",)
"""Properties that all blocks are measured for as one network: the compiler starts once."""


class Flat(nn.Module):
    """A block that takes and gives tensors, whatever its own signature."""

    def __init__(self, block: nn.Module, adapt: Callable[..., tuple[Any, ...]]) -> None:
        super().__init__()
        self.block = block
        self.adapt = adapt

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        output = self.block(*self.adapt(*tensors))
        return output if isinstance(output, tuple) else (output,)


def _as_they_are(*tensors: Tensor) -> tuple[Any, ...]:
    return tensors


def _pair(real: Tensor, imaginary: Tensor) -> tuple[Any, ...]:
    return ((real, imaginary),)


@dataclass(frozen=True)
class Block:
    """One row of the table."""

    name: str
    make: Callable[[], nn.Module]
    inputs: tuple[tuple[int, int], ...]
    """Per input its channels and how many pixels it is larger than the first."""
    adapt: Callable[..., tuple[Any, ...]] = _as_they_are
    size: int = 8
    """Height and width of the images that derivatives are checked with, as small as they go."""
    wider: int = 0
    """Pixels by which all images are wider."""
    whole_jacobian: bool = True
    """Whether derivatives are checked entry by entry; else along random directions."""
    of_layers: bool = False
    """Whether it is a whole first layer, of layers that have rows of their own."""

    def module(self) -> Flat:
        """Return the block in training mode, the same weights every time."""
        torch.manual_seed(0)
        return Flat(self.make(), self.adapt)

    def tensors(self, batch: int, height: int, width: int) -> tuple[Tensor, ...]:
        """Return float64 inputs, the same every time."""
        generator = torch.Generator().manual_seed(1)
        return tuple(
            torch.randn(
                batch, channels, height + more, width + self.wider + more, generator=generator,
                dtype=torch.float64,
            )
            for channels, more in self.inputs
        )  # fmt: skip


def first_layer(spec: str, *overrides: str) -> nn.Module:
    """Return a spec's stem and first pooling.

    Mixing weights are half or more: the normalisation after them divides their gradients, and every
    rounding in these, by their size.
    """
    compiled = compiled_once(ROOT / "specs" / f"{spec}.yaml", *overrides)
    with torch.device("meta"):
        network = build_module(compiled.optimised_graph)
    first = nn.Sequential(network.stem, network.pool).to_empty(device="cpu")
    mixed: list[PacketMixing] = []
    for module in first.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()  # pyright: ignore[reportCallIssue]
        if isinstance(module, PacketMixing):
            mixed.append(module)
    with torch.no_grad():
        for weight in (conv.get_parameter("weight") for mixing in mixed for conv in mixing):
            weight += 0.5 * weight.sign()
    return first


def _stem(
    name: str, spec: str, *overrides: str, size: int = 8, wider: int = 0, is_grey: bool = False
) -> Block:
    colours = 1 if is_grey or spec.startswith("digits") else 3
    return Block(
        name, lambda: first_layer(spec, *overrides), ((colours, 0),), size=size, wider=wider,
        whole_jacobian=False, of_layers=True,
    )  # fmt: skip


WIDE = ("data={dataset: mnist, image_size: [48, 80]}", "stem.wavelet.color_mixing=null")


WPT = (
    "stem.wavelet.transform=wpt",
    "stem.wavelet.filters=db2",
    "stem.wavelet.exclude=[]",
    "stem.wavelet.keep=[{packets: [1, 2, 3], channels: 6, groups: 3}, "
    "{packets: [5, 6], channels: 10, groups: 2}]",
)

BLOCKS: tuple[Block, ...] = (
    Block("`DualTreePackets` (complex)", lambda: DualTreePackets(2, 2), ((1, 0),)),
    Block("`DualTreePacketMaps` (a pair)", lambda: DualTreePacketMaps(2, 2), ((1, 0),)),
    Block(
        "`DualTreePacketMaps`, real parts",
        lambda: DualTreePacketMaps(2, 4, imaginary=False),
        ((2, 0),),
    ),
    Block(
        "`DualTreePacketMaps`, trained filters",
        lambda: DualTreePacketMaps(2, 4, "qshift_06", trainable=True),
        ((1, 0),),
    ),
    Block("`SeparablePackets`", lambda: SeparablePackets(2, 2, "db2"), ((1, 0),)),
    Block(
        "`SeparablePackets`, trained filters",
        lambda: SeparablePackets(2, 4, "db2", trainable=True),
        ((1, 0),),
    ),
    Block(
        "`KeepPackets`", lambda: KeepPackets([3, 0, 1], colours=2), ((8, 0), (8, 0)), _pair, size=2
    ),
    Block(
        "`PacketMixing`",
        lambda: PacketMixing([(4, 2, 2), (2, 2, 1)], bias=True, colours=2),
        ((12, 0), (12, 0)),
        _pair,
        size=2,
    ),
    Block(
        "`MixedPackets` (a pair)",
        lambda: MixedPackets(
            [1, 2, 3, 17, 18, 19],
            [(4, 8, 2), (2, 2, 1)],
            2,
            2,
            colour=(1.0, 1.2, 0.8),
            bias=True,
            subsample=2,
        ),
        ((3, 0),),
        whole_jacobian=False,
    ),
    Block(
        "`MixedPackets`, real parts, colours mixed after",
        lambda: MixedPackets(
            [1, 18], [(2, 3, 1)], 2, 4, colours=3, mixes_after=True, imaginary=False
        ),
        ((3, 0),),
        whole_jacobian=False,
    ),
    Block(
        "`MixedPackets` (a pair), native kernel",
        lambda: MixedPackets(
            [1, 2, 3, 17, 18, 19],
            [(4, 8, 2), (2, 2, 1)],
            2,
            2,
            colour=(1.0, 1.2, 0.8),
            bias=True,
            subsample=2,
            native=True,
        ),
        ((3, 0),),
        whole_jacobian=False,
    ),
    Block(
        "`MixedPackets`, real parts, colours mixed after, native kernel",
        lambda: MixedPackets(
            [1, 18],
            [(2, 3, 1)],
            2,
            4,
            colours=3,
            mixes_after=True,
            imaginary=False,
            native=True,
        ),
        ((3, 0),),
        whole_jacobian=False,
    ),
    Block("`ColourMixing`", lambda: ColourMixing((1.0, 1.2, 0.8)), ((3, 0),), size=3),
    Block("`ColourMixingAfter`", lambda: ColourMixingAfter(2), ((6, 0), (6, 0)), _pair, size=3),
    Block("`RealPart`", RealPart, ((2, 0), (2, 0)), _pair, size=2),
    Block("`Interleave`", Interleave, ((2, 0), (2, 0)), _pair, size=3),
    Block("`Deinterleave`", Deinterleave, ((4, 0),), size=3),
    Block("`SliceChannels`", lambda: SliceChannels(1, 3), ((4, 0),), size=3),
    Block("`Subsample`", lambda: Subsample(2), ((2, 0), (2, 0)), _pair, size=5),
    Block("`CenterCropConcat`", CenterCropConcat, ((2, 0), (1, 3)), size=4),
    Block("`Modulus`", Modulus, ((2, 0), (2, 0)), _pair, size=4),
    Block("`Modulus`, bias 0.01", lambda: Modulus(0.01), ((2, 0), (2, 0)), _pair, size=4),
    Block("`EnergyNorm`", lambda: EnergyNorm(2), ((2, 0),), size=4),
    Block("`ChannelBias`", lambda: ChannelBias(2), ((2, 0),), size=3),
    *(
        Block(f"`BlurPool`, size {size}", lambda size=size: BlurPool(size), ((2, 0),))
        for size in range(2, 8)
    ),
    *(
        Block(f"`MaxBlurPool`, size {size}", lambda size=size: MaxBlurPool(3, 1, size), ((2, 0),))
        for size in (3, 4)
    ),
    *(
        Block(
            f"`AdaptiveBlur`, {normalise}",
            lambda normalise=normalise: AdaptiveBlur(4, groups=2, normalise=normalise),
            ((4, 0),),
            whole_jacobian=False,
        )
        for normalise in ("joint", "per_group")
    ),
    Block("`WaveletPool2d`, ll", lambda: WaveletPool2d("db2", mode="symmetric"), ((2, 0),)),
    Block(
        "`WaveletPool2d`, mix, learned",
        lambda: WaveletPool2d("db2", "mix", learn="lattice", channels=2),
        ((2, 0),),
        whole_jacobian=False,
    ),
    Block(
        "`WaveletPool2d`, energy, two levels",
        lambda: WaveletPool2d("bior2.2", "energy", 2, mode="reflect", size="full"),
        ((2, 0),),
        whole_jacobian=False,
    ),
    Block("`WaveletUnpool2d`", lambda: WaveletUnpool2d("db2"), ((4, 0),), size=4),
    Block("`Scattering2d`", lambda: Scattering2d(2, 2), ((1, 0),), size=5),
    Block("`Invariant`", lambda: Invariant(1, 3), ((1, 0),), size=5),
    *(
        Block(
            f"`Invariant`, {mixing}, up-sampled",
            lambda mixing=mixing: Invariant(2, 3, mixing, stride=1),
            ((2, 0),),
            size=4,
            whole_jacobian=False,
        )
        for mixing in ("shifted_gaussian", "learned", "dct")
    ),
    _stem("CNN, max", "digits/cnn"),
    _stem("CNN, max and blur", "digits/cnn", "pooling.free=max_blur"),
    _stem("CNN, max and adaptive blur", "digits/cnn", "pooling.free=max_adaptive_blur"),
    _stem("CNN, wavelet pooling", "digits/cnn", "pooling.free=wavelet"),
    _stem("twin, RMax", "digits/twin"),
    _stem("twin, CMod", "digits/twin_mod"),
    _stem("twin, RMax and blur", "digits/twin", "pooling.free=max_blur"),
    _stem(
        "twin, RMax and blur, window of 2",
        "digits/twin",
        "pooling.free=max_blur",
        "pooling.max_kernel=2",
    ),
    _stem("twin, RMax and adaptive blur", "digits/twin", "pooling.free=max_adaptive_blur"),
    _stem("twin, CMod beside blur", "digits/twin_mod", "pooling.free=max_blur"),
    _stem("twin, CMod beside adaptive blur", "digits/twin_mod", "pooling.free=max_adaptive_blur"),
    _stem("twin, CMod and blur", "digits/twin_mod", "pooling.wavelet=modulus_blur"),
    _stem(
        "ablation: RMax beside blur", "digits/twin", "pooling.free=max_blur", "pooling.wavelet=max"
    ),
    _stem("ablation: blur beside max", "digits/twin", "pooling.wavelet=max_blur"),
    _stem(
        "twin without free channels, CMod",
        "digits/twin_mod",
        "stem.free_channels=0",
        "stem.wavelet.keep=[{band: 1, channels: 6, groups: 6}, {band: 2, channels: 26, groups: 2}]",
    ),
    _stem("twin, separable packets", "digits/twin", *WPT),
    _stem("ResNet twin, colours mixed before, CMod", "cifar10/R18wyC_mod"),
    _stem(
        "ResNet twin, colours mixed after, trained filters, CMod",
        "cifar10/R18wyC_mod",
        "stem.wavelet.color_mixing=after",
        "stem.wavelet.trainable_filters=true",
    ),
    _stem("AlexNet twin, RMax", "alexnet/AwyI", size=32),
    _stem("AlexNet twin, CMod", "alexnet/AwyI_mod", size=32),
    _stem("AlexNet twin, RMax and blur", "alexnet/Azh3wyI", size=32),
    _stem("AlexNet twin, CMod beside blur", "alexnet/Azh3wyI_mod", size=32),
    _stem(
        "AlexNet twin, CMod, 1 channel, 48 x 80",
        "alexnet/AwyI_mod",
        *WIDE,
        "stem.stride=2",
        size=48,
        wider=32,
        is_grey=True,
    ),
    _stem(
        "ResNet twin, CMod, 1 channel, 48 x 80",
        "resnet34/RwyI_mod",
        *WIDE,
        size=48,
        wider=32,
        is_grey=True,
    ),
    _stem("VGG twin, CMod", "vgg/V11bwC_mod"),
    _stem("VGG twin, CMod without a pooling", "vgg/V16bwI_mod"),
)


def measure(block: Block, name: str) -> str:
    """Return a cell that needs no compiler: `yes`, or `no` and what happened."""
    try:
        return _MEASURES[name](block)
    except Exception as error:
        return _fault(error)


def _fault(error: Exception) -> str:
    first = (str(error).strip().splitlines() or [""])[0]
    return f"no: {type(error).__name__}: {first[:200]}"


def _verdict(deviation: float, tolerance: float, what: str = "deviation") -> str:
    return "yes" if deviation <= tolerance else f"no: {what} {deviation:.1e}"


def deviation(value: Tensor, expected: Tensor) -> float:
    """Return the largest difference over the largest value expected; infinite if not finite."""
    assert value.shape == expected.shape, (value.shape, expected.shape)
    if not bool(torch.isfinite(torch.view_as_real(value) if value.is_complex() else value).all()):
        return float("inf")
    difference = float((value.detach().to(expected.dtype) - expected.detach()).abs().max())
    return difference / (float(expected.detach().abs().max()) or 1.0)


def _differentiable(
    block: Block, batch: int = 1
) -> tuple[Callable[..., tuple[Tensor, ...]], tuple[Tensor, ...]]:
    """Return the block as a function of its inputs and parameters, and those."""
    module = block.module().double()
    names = [name for name, _ in module.named_parameters()]
    inputs = block.tensors(batch, block.size, block.size)
    leaves = [x.detach().requires_grad_() for x in (*inputs, *module.parameters())]

    def function(*values: Tensor) -> tuple[Tensor, ...]:
        parameters = dict(zip(names, values[len(inputs) :], strict=True))
        outputs = torch.func.functional_call(module, parameters, values[: len(inputs)])
        # torch's own checks leave out what looks like a constant.
        assert all(output.requires_grad for output in outputs)
        return outputs

    return function, tuple(leaves)


def _gradcheck(block: Block) -> str:
    function, leaves = _differentiable(block)
    fast = not block.whole_jacobian
    return "yes" if torch.autograd.gradcheck(function, leaves, fast_mode=fast) else "no"


def _gradgradcheck(block: Block) -> str:
    function, leaves = _differentiable(block)
    # Linear blocks have second derivatives of zero; projections keep the larger ones quick.
    return "yes" if torch.autograd.gradgradcheck(function, leaves, fast_mode=True) else "no"


def _float64(block: Block) -> str:
    outputs = block.module().double()(*block.tensors(2, block.size + 9, block.size + 8))
    wide = (torch.float64, torch.complex128)
    return "yes" if all(output.dtype in wide for output in outputs) else "no: another type"


def _float32(block: Block) -> str:
    inputs = block.tensors(2, block.size + 9, block.size + 8)
    rounded = [x.float() for x in inputs]
    outputs = block.module()(*rounded)
    expected = block.module().double()(*(x.double() for x in rounded))
    if any(output.dtype not in (torch.float32, torch.complex64) for output in outputs):
        return "no: another type"
    return _verdict(max(map(deviation, outputs, expected)), 1e-5)


class Decided(nn.Module):
    """A ReLU or a maximum that notes what it lets through, or lets through what another one noted.

    Rounding may swap two nearly equal values; the gradient then goes to another pixel, in any CNN.
    Derivatives are compared for the same choices.
    """

    def __init__(self, layer: nn.ReLU | nn.MaxPool2d, choices: list[Tensor], replay: bool) -> None:
        super().__init__()
        self.layer, self.choices, self.replay = layer, choices, replay

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.layer, nn.ReLU):
            if not self.replay:
                self.choices.append(x.detach() > 0)
                return self.layer(x)
            return x * self.choices.pop(0)
        if not self.replay:
            size, stride, padding = self.layer.kernel_size, self.layer.stride, self.layer.padding
            output, indices = F.max_pool2d(x, size, stride, padding, return_indices=True)
            self.choices.append(indices)
            return output
        indices = self.choices.pop(0)
        return x.flatten(2).gather(2, indices.flatten(2)).view(indices.shape)


def _decided(module: nn.Module, choices: list[Tensor], replay: bool) -> nn.Module:
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.ReLU | nn.MaxPool2d) and not isinstance(parent, Decided):
                setattr(parent, name, Decided(child, choices, replay))
    return module


def bfloat16_deviations(block: Block) -> tuple[float, float, float]:
    """Return the deviations under autocast: of outputs, inputs' gradients, parameters' gradients.

    Gradients are relative to the largest of their kind: those of weights before a normalisation, which
    undoes their scale, may be 0 but for rounding.
    """
    inputs = [x.bfloat16() for x in block.tensors(4, block.size + 24, block.size + 25)]
    choices: list[Tensor] = []
    outputs, *rounded = _with_gradients(_decided(block.module(), choices, False), inputs, True)
    exact, _ = _outputs(block.module().double(), [x.double() for x in inputs], False)
    reference = _decided(block.module().double(), choices, True)
    _, *gradients = _with_gradients(reference, [x.double() for x in inputs], False)
    assert not choices
    forward = max(map(deviation, (x.double() for x in outputs), exact))
    backward = [
        deviation(torch.cat(found), torch.cat(expected)) if found else 0.0
        for found, expected in zip(rounded, gradients, strict=True)
    ]
    return forward, backward[0], backward[1]


def _outputs(
    module: nn.Module, inputs: Sequence[Tensor], autocast: bool
) -> tuple[list[Tensor], list[Tensor]]:
    leaves = [x.detach().requires_grad_() for x in inputs]
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        outputs = [torch.view_as_real(x) if x.is_complex() else x for x in module(*leaves)]
    return outputs, leaves


def _with_gradients(
    module: nn.Module, inputs: Sequence[Tensor], autocast: bool
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Return outputs and the gradients of inputs and parameters, flat and in float64."""
    outputs, leaves = _outputs(module, inputs, autocast)
    generator = torch.Generator().manual_seed(2)
    loss = outputs[0].new_zeros((), dtype=torch.float64)
    for output in outputs:
        weights = torch.randn(output.shape, generator=generator, dtype=torch.float64)
        loss = loss + (output.double() * weights).sum()
    loss.backward()
    of_inputs, of_parameters = (
        [x.grad.double().flatten() for x in group if x.grad is not None]
        for group in (leaves, list(module.parameters()))
    )
    return outputs, of_inputs, of_parameters


def _bfloat16(block: Block) -> str:
    for what, value in zip(
        ("outputs deviate by", "inputs' gradients deviate by", "parameters' gradients deviate by"),
        bfloat16_deviations(block),
        strict=True,
    ):
        if value > 2e-2:
            return f"no: {what} {value:.1e}"
    return "yes"


_MEASURES: dict[str, Callable[[Block], str]] = {
    "gradcheck": _gradcheck,
    "gradgradcheck": _gradgradcheck,
    "float64": _float64,
    "float32": _float32,
    "bfloat16": _bfloat16,
}


# What needs the compiler, in a process without the annotations' hook.


class Together(nn.Module):
    """Several blocks as one network, so that the compiler starts once."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(block.module() for block in blocks)
        self.counts = [len(block.inputs) for block in blocks]

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        outputs: list[Tensor] = []
        first = 0
        for block, count in zip(self.blocks, self.counts, strict=True):
            outputs += block(*tensors[first : first + count])
            first += count
        return tuple(outputs)


def traced(names: Iterable[str], blocks: Sequence[Block]) -> dict[str, dict[str, str]]:
    """Return per property the cell of every block, by its name; halves where not all pass."""
    cells: dict[str, dict[str, str]] = {}
    for name in names:
        together = _trace(name, blocks) if name in TOGETHER or len(blocks) == 1 else ""
        if together == "yes" or len(blocks) == 1:
            cells[name] = {block.name: together for block in blocks}
        else:
            half = len(blocks) // 2
            parts = (traced([name], blocks[:half]), traced([name], blocks[half:]))
            cells[name] = parts[0][name] | parts[1][name]
    return cells


def _trace(name: str, blocks: Sequence[Block]) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _TRACES[name](blocks)
    except Exception as error:
        return _fault(error)


def _float32_inputs(
    blocks: Sequence[Block], batch: int, more_height: int, more_width: int
) -> tuple[Tensor, ...]:
    return tuple(
        x.float()
        for block in blocks
        for x in block.tensors(batch, block.size + more_height, block.size + more_width)
    )


def _compile(blocks: Sequence[Block], backend: str, tolerance: float) -> str:
    torch._dynamo.reset()
    eager = Together(blocks)
    compiled = torch.compile(copy.deepcopy(eager), fullgraph=True, backend=backend)
    expected, found = (_all_gradients(blocks, module) for module in (eager, compiled))
    return _verdict(max(map(deviation, found, expected)), tolerance)


def _all_gradients(blocks: Sequence[Block], module: nn.Module) -> list[Tensor]:
    """Return outputs, every input's gradient, and every block's parameters' gradients together."""
    leaves = [x.requires_grad_() for x in _float32_inputs(blocks, 2, 9, 8)]
    outputs = [torch.view_as_real(x) if x.is_complex() else x for x in module(*leaves)]
    generator = torch.Generator().manual_seed(2)
    # Random weights: sums of squares say nothing of what was normalised.
    weighted = [(x * torch.randn(x.shape, generator=generator)).sum() for x in outputs]
    torch.stack(weighted).sum().backward()
    results = [*outputs, *(x.grad for x in leaves if x.grad is not None)]
    for number in range(len(blocks)):
        parameters = module.get_submodule(f"blocks.{number}").parameters()
        grads = [p.grad.flatten() for p in parameters if p.grad is not None]
        results += [torch.cat(grads)] if grads else []
    return results


def _exported(blocks: Sequence[Block]) -> tuple[nn.Module, Any]:
    module = Together(blocks).eval()
    inputs = _float32_inputs(blocks, 2, 16, 18)
    free = torch.export.Dim.DYNAMIC
    shapes = tuple({0: free, 2: free, 3: free} for _ in inputs)
    return module, torch.export.export(module, inputs, dynamic_shapes=(shapes,))


def _export(blocks: Sequence[Block]) -> str:
    module, program = _exported(blocks)
    worst = 0.0
    for batch, height, width in ((1, 21, 24), (3, 24, 23), (2, 40, 33)):
        inputs = _float32_inputs(blocks, batch, height, width)
        worst = max(worst, *map(deviation, program.module()(*inputs), module(*inputs)))
    return _verdict(worst, 1e-5)


def _onnx(blocks: Sequence[Block]) -> str:
    import onnxruntime

    module, program = _exported(blocks)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "blocks.onnx"
        torch.onnx.export(program, f=file, verbose=False)
        session = onnxruntime.InferenceSession(file)
    worst = 0.0
    for batch, height, width in ((2, 16, 18), (1, 21, 24)):
        inputs = _float32_inputs(blocks, batch, height, width)
        names = [entry.name for entry in session.get_inputs()]
        feed = dict(zip(names, (x.numpy() for x in inputs), strict=True))
        outputs = [torch.from_numpy(output) for output in session.run(None, feed)]
        expected = [torch.view_as_real(x) if x.is_complex() else x for x in module(*inputs)]
        worst = max(worst, *map(deviation, outputs, expected))
    return _verdict(worst, 1e-4)


_TRACES: dict[str, Callable[[Sequence[Block]], str]] = {
    "compile": lambda blocks: _compile(blocks, "aot_eager", 1e-5),
    "inductor": lambda blocks: _compile(blocks, "inductor", 1e-4),
    "export": _export,
    "onnx": _onnx,
}


def measure_traced(names: Sequence[str], blocks: Sequence[Block] = BLOCKS) -> dict[str, Any]:
    """Return `traced`'s cells, measured in a process without the annotations' hook."""
    chosen = [str(BLOCKS.index(block)) for block in blocks]
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.blocks", "--traced", ",".join(names), *chosen],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


# The table.

REASONS: dict[tuple[str, str], str] = {}
"""Why a cell says no, by block and property: what torch itself cannot do."""

_HEAD = """# Blocks and their properties

Made by `python -m tests.support.blocks` and checked by the tests, cell by cell: do not edit. Every
block is measured as it is used in training, the stems together with their first pooling; exports are
of the network in evaluation. The measurements stand in `tests/support/blocks.py`.

Deviations are relative to the largest value expected. Gradients under autocast are compared for the
same choices of ReLU and maximum, since rounding may exchange two nearly equal pixels in any CNN.
"""


def render_table(cells: Mapping[tuple[str, str], str]) -> str:
    """Return docs/blocks.md for these cells, `yes` or `no` by block and property."""
    lines = [_HEAD, "| property | means |", "|---|---|"]
    lines += [f"| {name} | {meaning} |" for name, meaning in PROPERTIES.items()]
    lines += [
        "",
        "| block | " + " | ".join(PROPERTIES) + " |",
        "|---" * (len(PROPERTIES) + 1) + "|",
    ]
    notes: list[str] = []
    for block in BLOCKS:
        row: list[str] = []
        for name in PROPERTIES:
            cell = cells[block.name, name]
            if cell != "yes":
                notes.append(f"{block.name}, {name}: {REASONS[block.name, name]}")
                cell = f"{cell} ({len(notes)})"
            row.append(cell)
        lines.append(f"| {block.name} | " + " | ".join(row) + " |")
    if notes:
        lines += ["", *(f"{number}. {note}" for number, note in enumerate(notes, start=1))]
    return "\n".join(lines) + "\n"


def read_table() -> dict[tuple[str, str], str]:
    """Return the cells that docs/blocks.md has, without the numbers of its notes."""
    cells: dict[tuple[str, str], str] = {}
    blocks = {block.name for block in BLOCKS}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        name, *row = (cell.strip() for cell in line.strip("|").split("|"))
        if name in blocks:
            pairs = zip(PROPERTIES, row, strict=True)
            cells |= {(name, title): cell.split(" ")[0] for title, cell in pairs}
    return cells


def main(arguments: Sequence[str]) -> int:
    """Measure everything and write the table, or measure what needs the compiler."""
    if arguments[:1] == ["--traced"]:
        blocks = [BLOCKS[int(number)] for number in arguments[2:]]
        sys.stdout.write("\n" + json.dumps(traced(arguments[1].split(","), blocks)) + "\n")
        return 0
    measured = {(block.name, name): measure(block, name) for block in BLOCKS for name in _MEASURES}
    with ThreadPoolExecutor(2) as pool:
        for columns in pool.map(measure_traced, (["inductor"], ["compile", "export", "onnx"])):
            for name, column in columns.items():
                measured |= {(block, name): cell for block, cell in column.items()}
    faults = {key: cell for key, cell in measured.items() if cell != "yes"}
    for (block, name), cell in faults.items():
        sys.stderr.write(f"{block}, {name}: {cell}\n")
    if faults.keys() <= REASONS.keys():
        TABLE.write_text(
            render_table({key: cell.split(":")[0] for key, cell in measured.items()}),
            encoding="utf-8",
        )
        return 0
    sys.stderr.write("not written: a no without its reason\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
