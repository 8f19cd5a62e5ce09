"""Report what the runs' models cost: parameters, multiply-accumulates, memory, time."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence

from wavetwin.explain.report.page import Part, Section, section_html
from wavetwin.explain.report.runs import Run, graph_of
from wavetwin.ir.graph import ModuleGraph

__all__ = ["cost_part"]

_ROWS = (
    "trainable parameters",
    "frozen parameters",
    "fixed numbers (filters, statistics)",
    "MACs an image, as written",
    "MACs an image, after the passes",
    "element-wise operations an image",
    "activations an image, as written",
    "activations an image, after the passes",
    "seconds an epoch, median",
    "training time, seconds",
    "device",
)


def cost_part(runs: Sequence[Run]) -> Part:
    """Return the table of costs.

    Raises:
        RunError: a run's graph is damaged.
    """
    rows = [[run.label, *_cells(run)] for run in runs]
    remarks = [
        "MACs: multiply-accumulates of convolutions, linear layers and the packet bank; "
        "activations: all outputs of layers in float32, an upper bound of what training keeps",
        "passes: rewritings that keep what the model computes; the scripts run the model after them",
        "seconds an epoch: with its validation, as they were measured on the device that is named",
        *(f"no graph.json, so no layers are counted: {run.label}" for run in runs if _lacks(run)),
    ]
    section = Section("Cost of the models", ["run", *_ROWS], rows, remarks)
    return Part("cost", "Cost", section_html(section, turned=True))


def _lacks(run: Run) -> bool:
    return graph_of(run) is None


def _cells(run: Run) -> list[str]:
    graph = graph_of(run)
    parameters = run.manifest["parameters"] or {}
    seconds = run.manifest["training_seconds"]
    return [
        *(_count(parameters.get(kind)) for kind in ("trainable", "frozen")),
        *_of_graph(graph, run.manifest["macs"]),
        _seconds(_epoch_seconds(run)),
        _seconds(seconds),
        _device(run),
    ]


def _of_graph(graph: ModuleGraph | None, macs: int | None) -> list[str]:
    if graph is None:
        return ["", _count(macs), "", "", "", ""]
    last = graph.passes[-1] if graph.passes else None
    return [
        _count(graph.parameters.buffers),
        _count(graph.macs),
        "" if last is None else _count(last.macs_after),
        _count(graph.elementwise),
        _bytes(graph.activation_bytes),
        "" if last is None else _bytes(last.bytes_after),
    ]


def _epoch_seconds(run: Run) -> float | None:
    """Return the median over the epochs; the records have the seconds since training began."""
    ends = [line["time"]["seconds"] for line in run.epochs]
    if not ends:
        return None
    return statistics.median(after - before for before, after in itertools.pairwise([0.0, *ends]))


def _device(run: Run) -> str:
    sessions = run.manifest.get("lives") or []
    machine = sessions[-1].get("machine", {}) if sessions else {}
    return str(machine.get("device_name") or machine.get("device") or "")


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _bytes(value: int) -> str:
    return f"{value / 2**20:,.2f} MiB"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}"
