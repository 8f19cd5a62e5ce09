"""Record what beside torch decides a run's numbers, and hold a session to the kernel of those before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.bank.native import NoLibraryError, find_library
from wavetwin.runtime.process.errors import ANOTHER_RUN, RunError
from wavetwin.runtime.process.machine import deciding_versions
from wavetwin.runtime.training.run_folder import RunFolder

__all__ = ["check_kernel", "deciding_record", "kernel_drift"]

_KEY = "packet kernel"
"""In the record of a session's machine."""
_NO_KERNEL = "torch's operations"


def deciding_record(plan: TrainingPlan, device: torch.device) -> dict[str, str | None]:
    """Return what a session records of versions, of the compiler and of the kernel of the packets."""
    versions = deciding_versions(plan)
    return versions | ({_KEY: _describe_kernel(device)} if plan.packet_kernels.is_native else {})


def kernel_drift(
    plan: TrainingPlan, manifest: Mapping[str, Any], device: torch.device
) -> list[str]:
    """Return how what computes the packets here differs from the last session of a run: a mark, or none."""
    before = _kernel_of_run(manifest)
    if not plan.packet_kernels.is_native or before is None:
        return []
    now = _describe_kernel(device)
    is_same = _without_reason(now) == _without_reason(before)
    return [] if is_same else [f"kernel-changed: {before} to {now}"]


def _without_reason(description: str) -> str:
    """Return a description without why there is no kernel, which decides no bits."""
    return _NO_KERNEL if description.startswith(f"{_NO_KERNEL}: ") else description


def _describe_kernel(device: torch.device) -> str:
    """Return what computes the packets of a plan that asks for the native kernel, and with which bits."""
    if device.type != "cpu":
        return f"{_NO_KERNEL}, on {device.type}"
    try:
        record = find_library().record()
    except NoLibraryError as error:
        return f"{_NO_KERNEL}: {error}"
    return f"native, source {record['source'][:16]}, {record['compiler']}, {record['features']}"


def _kernel_of_run(manifest: Mapping[str, Any]) -> str | None:
    """Return what computed the packets in the last session of a run; None where nothing says it."""
    sessions: list[dict[str, Any]] = manifest["lives"]
    found = (sessions[-1].get("machine") or {}).get(_KEY) if sessions else None
    return found if isinstance(found, str) else None


def check_kernel(run: RunFolder, plan: TrainingPlan, device: torch.device) -> list[str]:
    """Refuse to go on with another kernel than before; return what the user should know.

    `--allow-drift` goes on, and marks the run.

    Raises:
        RunError: the last session had another kernel, compiler or CPU.
    """
    if not plan.packet_kernels.is_native:
        return []
    drift = kernel_drift(plan, run.manifest, device)
    if drift and not run.arguments.allow_drift:
        raise RunError(
            "kernel-changed",
            f"was trained by another kernel of the packets than there is here: "
            f"{drift[0].partition(': ')[2]}",
            f"go on where it was trained, or with --allow-drift, which marks the run; {ANOTHER_RUN}",
            subject=run.path,
        )
    run.manifest["drift"] = sorted({*run.manifest["drift"], *drift})
    if device.type != "cpu":
        return [
            f"training.kernels is for CPUs: on {device.type} torch's operations compute the packets"
        ]
    return []
