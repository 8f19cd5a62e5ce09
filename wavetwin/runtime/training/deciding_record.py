"""Record what beside torch decides a run's numbers, and hold a session to the kernel of those before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.bank.native import NoLibraryError, find_library
from wavetwin.runtime.process.errors import ANOTHER_RUN, RunError
from wavetwin.runtime.process.machine import deciding_versions
from wavetwin.runtime.process.processes import ALONE, Processes
from wavetwin.runtime.training.run_folder import RunFolder

__all__ = ["check_kernel", "deciding_record", "kernel_drift"]

_KEY = "packet kernel"
"""In the record of a session's machine."""
_NO_KERNEL = "torch's operations"


def deciding_record(
    plan: TrainingPlan, device: torch.device, processes: Processes = ALONE
) -> dict[str, str | None]:
    """Return what a session records of versions, of the compiler and of the kernel of the packets.

    Every process calls it, and says which kernel it has.
    """
    versions = deciding_versions(plan)
    if not plan.packet_kernels.is_native:
        return versions
    return versions | {_KEY: _describe_all(processes.gather(_describe_kernel(device)))}


def kernel_drift(
    plan: TrainingPlan, manifest: Mapping[str, Any], device: torch.device
) -> list[str]:
    """Return how what computes the packets here differs from the last session of a run: a mark, or none."""
    return _drift(manifest, _describe_kernel(device)) if plan.packet_kernels.is_native else []


def _drift(manifest: Mapping[str, Any], now: str) -> list[str]:
    before = _kernel_of_run(manifest)
    if before is None:
        return []
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


def _describe_all(kernels: Sequence[str]) -> str:
    """Return what computes the packets of all processes: each kernel once, with the ranks that have it."""
    if len(set(kernels)) == 1:
        return kernels[0]
    ranks = {
        kernel: [str(rank) for rank, each in enumerate(kernels) if each == kernel]
        for kernel in dict.fromkeys(kernels)
    }
    return "; ".join(f"of rank {', '.join(of)} {kernel}" for kernel, of in ranks.items())


def _kernel_of_run(manifest: Mapping[str, Any]) -> str | None:
    """Return what computed the packets in the last session of a run; None where nothing says it."""
    sessions: list[dict[str, Any]] = manifest["lives"]
    found = (sessions[-1].get("machine") or {}).get(_KEY) if sessions else None
    return found if isinstance(found, str) else None


def check_kernel(
    run: RunFolder, plan: TrainingPlan, device: torch.device, processes: Processes = ALONE
) -> list[str]:
    """Refuse to go on with another kernel than before, or with several; return what the user should know.

    `--allow-drift` goes on, and marks the run.

    Raises:
        RunError: the last session had another kernel, compiler or CPU, or another process has.
    """
    if not plan.packet_kernels.is_native:
        return []
    kernels = processes.gather(_describe_kernel(device))
    found = _describe_all(kernels)
    drift = _drift(run.manifest, found)
    # Why there is no kernel decides no bits.
    if len(set(map(_without_reason, kernels))) > 1:
        if not run.arguments.allow_drift:
            raise RunError(
                "kernel-changed",
                f"its processes have not one kernel of the packets: {found}",
                "start it on machines with one compiler and one kind of CPU, or with --allow-drift, "
                "which marks the run",
                subject=run.path,
            )
        drift.append(f"kernels-differ: {found}")
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
