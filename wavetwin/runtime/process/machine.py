"""Record what the numbers and times of a run depend on beside its plan."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from wavetwin.ir.plan import TrainingPlan
from wavetwin.provenance.package import installed_versions
from wavetwin.runtime.process.compilers import compiler_version

__all__ = ["deciding_versions", "launch_info", "machine_info"]


def machine_info(device: torch.device) -> dict[str, Any]:
    """Return what the numbers and times of a run depend on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": device.type,
        "device_name": name,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "tf32": device.type == "cuda" and torch.backends.cudnn.allow_tf32,
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
    }


def deciding_versions(plan: TrainingPlan) -> dict[str, str | None]:
    """Return the versions that decide a training's numbers beside torch's: of packages, of the compiler."""
    versions = installed_versions(plan.packages) if plan.packages else {}
    return versions | ({"compiler": compiler_version()} if plan.compile else {})


def launch_info(processes: int, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return how many processes there are on how many nodes, and what started them.

    Args:
        processes: all of them, as they have joined.
        environment: with the variables of the launcher; default: the process's own.
    """
    variables = os.environ if environment is None else environment
    launcher = variables.get("WAVETWIN_LAUNCHER")
    nodes, per_node = 1, processes
    if processes > 1:
        nodes = _number(variables, "GROUP_WORLD_SIZE")
        per_node = _number(variables, "LOCAL_WORLD_SIZE")
        if launcher is None and "SLURM_STEP_ID" in variables:
            launcher = "srun"
        elif launcher is None and "TORCHELASTIC_RUN_ID" in variables:
            launcher = "torchrun"
        if nodes is None and per_node is None and launcher == "srun":
            # A task of Slurm a process, without torchrun.
            nodes = _number(variables, "SLURM_STEP_NUM_NODES")
        if nodes is None and per_node is not None and processes % per_node == 0:
            nodes = processes // per_node
        if per_node is None and nodes is not None and processes % nodes == 0:
            per_node = processes // nodes
    return {
        "processes": processes,
        "nodes": nodes,
        "processes_per_node": per_node,
        "launcher": launcher,
    }


def _number(variables: Mapping[str, str], name: str) -> int | None:
    text = variables.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
