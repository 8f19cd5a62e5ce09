"""What the numbers and times of a run depend on beside its plan."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import torch

__all__ = ["machine_facts"]


def machine_facts(device: torch.device) -> dict[str, Any]:
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


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
