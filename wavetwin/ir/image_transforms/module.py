"""Define the transform `module`."""

from __future__ import annotations

from wavetwin.ir.frozen import frozen
from wavetwin.ir.image_transforms.transform import ImageTransform
from wavetwin.ir.own_code import OwnCode

__all__ = ["TRANSFORMS", "ModuleTransform"]


@frozen(kw_only=True)
class ModuleTransform(OwnCode, ImageTransform):
    """Transform of your own, of a file of the project."""

    transform = "module"
    effect = "does what its file says"
    maker = "wavetwin.runtime.data.own_transforms.make"
    packages = ()

    def __hash__(self) -> int:
        return OwnCode.__hash__(self)

    def describe(self) -> str:
        """Return it as text, with the name of its kind."""
        return f"module ({OwnCode.describe(self)})"


TRANSFORMS = (ModuleTransform,)
