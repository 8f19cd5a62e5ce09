"""Read and begin a run's manifest: what runs, on what, since when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.parameters import held_fixed
from wavetwin.ir.plan import TrainingPlan
from wavetwin.provenance.record import RunProvenance
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.json_files import read_json
from wavetwin.runtime.training.run_documents import DAMAGED, RunManifest

__all__ = ["MANIFEST", "existing_manifest", "new_manifest"]

MANIFEST = "manifest.json"


def existing_manifest(path: Path, plan: TrainingPlan) -> dict[str, Any] | None:
    """Return the manifest of a run folder; None where it has none.

    Raises:
        RunError: it cannot be read, or is of another training.
    """
    if not (path / MANIFEST).is_file():
        return None
    manifest = read_json(path / MANIFEST, RunManifest, DAMAGED)
    if manifest["training_digest"] != plan.training_digest:
        raise RunError(
            "run-differs",
            f"is a run of another training: its digest is "
            f"{manifest['training_digest'][:16]}, this plan's {plan.training_digest[:16]}",
            "build the spec that the run was started from, or start another run with --new",
            subject=path,
        )
    return manifest


def new_manifest(
    run: str,
    plan: TrainingPlan,
    graph: ModuleGraph,
    provenance: RunProvenance,
    limit_batches: int | None,
) -> dict[str, Any]:
    """Return the manifest of a run that has not begun."""
    sources: list[dict[str, Any]] = provenance.manifest.get("sources", [])
    spec = next((source for source in sources if source.get("role") == "spec"), {})
    counts = graph.parameters
    held = sum(parameter.count for parameter in held_fixed(graph, plan.freeze))
    return {
        "wavetwin_run": 1,
        "name": plan.name,
        "run": run,
        "status": "new",
        "digest": plan.digest,
        "training_digest": plan.training_digest,
        "model_digest": plan.model_digest,
        "seed": plan.seed,
        "limit_batches": limit_batches,
        "commit": spec.get("commit"),
        "dirty": any(source.get("dirty", False) for source in sources),
        "git": provenance.manifest.get("git", True),
        "drift": [],
        "bad_images": {},
        "build_manifest_sha256": provenance.manifest_sha256,
        "sources": sources,
        "parameters": {"trainable": counts.trainable - held, "frozen": counts.frozen + held},
        "macs": graph.macs,
        "training_seconds": None,
        "lives": [],
    }
