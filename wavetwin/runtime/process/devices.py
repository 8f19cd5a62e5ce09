"""Find devices by the names that a user gives them."""

from __future__ import annotations

import torch

from wavetwin.runtime.process.errors import RunError

__all__ = ["open_device"]


def open_device(name: str, index: int | None = None) -> torch.device:
    """Return a device after something was put on it.

    Args:
        name: as torch has it, such as `cpu`, `cuda` or `cuda:1`.
        index: which of the devices of this name.

    Raises:
        RunError: there is no such device here.
    """
    try:
        device = torch.device(name if index is None else f"{name}:{index}")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first_line = str(error).split("\n", 1)[0]
        raise RunError(
            "device-missing", f"device {name!r} cannot be used: {first_line}", "--device cpu"
        ) from error
    return device
