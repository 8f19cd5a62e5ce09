"""An operation and a backbone that are added, as a person would add them.

Run as a program, it adds them before anything reads the tables, compiles a spec that has both, builds
its network and writes what both give.
"""

from __future__ import annotations

import json
import sys
import tempfile
from math import prod
from pathlib import Path

from wavetwin.ir.architecture import Architecture, TrunkOptions
from wavetwin.ir.backbones import ARCHITECTURES
from wavetwin.ir.builder import GraphBuilder, add_conv, add_linear
from wavetwin.ir.frozen import frozen
from wavetwin.ir.operations import Call, Flatten, Operation, Relu, Shape


@frozen(kw_only=True)
class ChannelScale(Operation, op="channel_scale"):
    """Multiplies each channel by a weight."""

    channels: int

    def weights(self, x: Shape) -> dict[str, Shape]:
        """Return the channels' weights."""
        return {"weight": (self.channels,)}

    def elementwise(self, out: Shape, *shapes: Shape) -> int:
        """Return a multiplication a value."""
        return prod(out)

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        return Call.of("ChannelScale", self.channels)


class LeNet(Architecture):
    """A second convolution, and two fully connected layers."""

    family = "LeNets"

    def add_trunk(self, builder: GraphBuilder, options: TrunkOptions, source: str) -> None:
        """Add what follows the first pooling."""
        current = add_conv(builder, "trunk.conv2", source, 16, 5, padding=2, bias=True)
        current = builder.add("trunk.scale2", ChannelScale(channels=16), current)
        current = builder.add("trunk.relu2", Relu(), current)
        ids = "trunk.pool2", "trunk.blur2"
        current = options.add_maximum(builder, ids, current, 2, ("backbone.downsampling",))
        current = builder.add("trunk.flatten", Flatten(), current)
        current = add_linear(builder, "trunk.fc3", current, 64, ("backbone.arch",))
        current = builder.add("trunk.relu3", Relu(), current)
        classes = ("data.dataset", "data.num_classes")
        add_linear(builder, "trunk.fc4", current, options.num_classes, classes)


LENET = LeNet(
    name="lenet",
    first_layer_width=16,
    kernel_size=5,
    stride=1,
    padding=2,
    norm="none",
    colour_initial=(1.0, 1.0, 1.0),
    pooling_kernel_size=2,
    pooling_padding=0,
)
SPEC = "wavetwin: 1\nbackbone: {arch: lenet}\ndata: {dataset: digits}\n"


def main() -> None:
    """Add both and write what follows from them."""
    ARCHITECTURES[LENET.name] = LENET
    import torch

    import wavetwin
    from tests.support.added_layer import ChannelScale as ChannelScaleLayer
    from wavetwin.runtime import layers

    vars(layers)["ChannelScale"] = ChannelScaleLayer
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lenet.yaml"
        path.write_text(SPEC, encoding="utf-8")
        compiled = wavetwin.compile(path)
        blurred = wavetwin.compile(path, ["backbone.downsampling=blur"])
    model = wavetwin.build_model(compiled).eval()
    with torch.no_grad():
        logits = model(torch.zeros(2, 1, 32, 32))
    parameters = sum(each.numel() for each in model.parameters())
    found = {
        "logits": list(logits.shape),
        "parameters": [parameters, compiled.graph.parameters.trainable],
        "state": "trunk.scale2.weight" in model.state_dict(),
        "ops": [
            [node.op for node in each.graph.section("trunk")][1:5] for each in (compiled, blurred)
        ],
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
