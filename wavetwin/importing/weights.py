"""Import weights that others trained, as a file of a model of ours.

Everything has to agree: a network with some other weights computes something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wavetwin.diagnostics.terminal import printable
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.training.checkpoint import read_foreign, write_weights
from wavetwin.runtime.training.starting.conversion import (
    Converted,
    NumClasses,
    convert_state_dict,
    describe_not_finite,
)
from wavetwin.runtime.training.starting.tensor_checks import TensorFault, WeightsError

__all__ = [
    "Converted",
    "ImportedWeights",
    "NumClasses",
    "TensorFault",
    "WeightsError",
    "convert_state_dict",
    "describe_not_finite",
    "import_weights",
]


@dataclass(frozen=True, slots=True)
class ImportedWeights:
    """A weights file that was written, and where it came from."""

    converted: Converted
    metadata: Mapping[str, str]
    """What the file's header holds."""
    out: Path
    notes: tuple[str, ...] = ()
    """What was chosen from the given file, for people."""

    def describe(self) -> str:
        """Return what matched, for people to read."""
        given, made = self.metadata, self.converted
        names = {
            "reference": "names as the published models' or torchvision's",
            "wavetwin": "wavetwin's own names",
        }
        lines = [
            f"from     {printable(given['source'])}, SHA-256 {given['source_sha256']}",
            *(f"         {note}" for note in (*self.notes, *made.notes)),
            f"         {names[made.naming]}",
            f"matched  {len(made.state)} tensors of {given['spec']}, "
            f"{made.num_parameters:,} parameters, {made.num_classes} classes",
        ]
        if made.num_constants:
            lines.append(f"         {made.num_constants} fixed filters and constants compared")
        if made.sets_counters:
            lines.append(
                "         counters of the batch norms, absent as before torch 0.4.1, are 0"
            )
        if made.not_finite:
            lines.append(f"warning  {describe_not_finite(made.not_finite)}")
        return "".join(f"{line}\n" for line in (*lines, f"written  {self.out}"))


def import_weights(
    file: Path,
    graph: ModuleGraph,
    plan: TrainingPlan,
    out: Path,
    num_classes: NumClasses = None,
    key: str | None = None,
) -> ImportedWeights:
    """Write a file of anybody's weights as a safetensors file of ours.

    Args:
        file: of safetensors, `torch.save` or Lightning.
        graph: as written, not optimised.
        plan: of the same spec; names it in the written file's header.
        out: ends in `.safetensors`; not there yet.
        num_classes: of the file's classifier, where it is not the spec's.
        key: of the state dict in the file, where there are several.

    Raises:
        RunError: a file cannot be read or written, or the weights are not the model's.
    """
    if out.suffix != ".safetensors":
        raise RunError(
            "bad-argument", "is not named .safetensors, which is what is written", subject=out
        )
    if out.exists():
        raise RunError("output-exists", "is there already, and is not overwritten", subject=out)
    if not out.absolute().parent.is_dir():
        raise RunError(
            "cannot-write",
            "cannot be written: No such file or directory",
            f"make the folder {out.parent} first, or choose another one",
            subject=out,
        )
    foreign = read_foreign(file, key)
    try:
        converted = convert_state_dict(graph, foreign.tensors, num_classes)
    except WeightsError as error:
        raise WeightsError(f"{graph.name} ({file})", error.faults, error.remedy) from None
    metadata = {
        "format": "pt",
        # A name may have bytes that are no text.
        "source": file.name.encode(errors="backslashreplace").decode(),
        "source_sha256": foreign.sha256,
        "spec": plan.name,
        "digest": plan.digest,
        "model_digest": plan.model_digest,
        "num_classes": str(converted.num_classes),
    }
    write_weights(out, converted.state, metadata)
    return ImportedWeights(converted, metadata, out, foreign.notes)
