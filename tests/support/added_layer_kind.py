"""A kind of layer that is added, as a person would add it.

Run as a program, it adds the kind before anything reads the table, compiles a spec that has it, builds its
network and writes what comes of it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tests.support.added_kinds import ChannelScale
from wavetwin.ir.frozen import frozen
from wavetwin.ir.layer_kind import LayerKind, LayerOptions
from wavetwin.ir.layer_kinds import known_layers
from wavetwin.ir.operations import Shape


@frozen(kw_only=True)
class ScaleLayer(LayerKind):
    """A weight for each channel; it has no fields."""

    key = "scale"

    def operation(self, shape: Shape, options: LayerOptions) -> ChannelScale:
        """Return the scaling of as many channels as there are."""
        return ChannelScale(channels=shape[0])


SPEC = """\
wavetwin: 1
backbone: {arch: sequential, layers: [{scale: {}}, {flatten: {}}, {linear: {}}]}
stem: {free_channels: 4}
data: {dataset: digits}
"""


def main() -> None:
    """Add the kind and write what follows from it."""
    known_layers()[ScaleLayer.key] = ScaleLayer
    import torch

    import wavetwin
    from tests.support.added_layer import ChannelScale as ChannelScaleLayer
    from wavetwin.compiler.validate.json_schema import spec_schema
    from wavetwin.diagnostics import CompileError
    from wavetwin.runtime import layers

    vars(layers)["ChannelScale"] = ChannelScaleLayer
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scaled.yaml"
        path.write_text(SPEC, encoding="utf-8")
        compiled = wavetwin.compile(path)
        path.write_text(SPEC.replace("scale: {}", "scale: {by: 2}"), encoding="utf-8")
        try:
            wavetwin.compile(path)
            refused = []
        except CompileError as error:
            refused = [each.headline for each in error.diagnostics]
    model = wavetwin.build_model(compiled).eval()
    with torch.no_grad():
        logits = model(torch.zeros(2, 1, 32, 32))
    found = {
        "logits": list(logits.shape),
        "ids": [node.id for node in compiled.graph.section("trunk")],
        "description": spec_schema()["$defs"]["SequentialLayer"]["properties"]["scale"][
            "description"
        ],
        "refused": refused,
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
