"""Give shape annotations: jaxtyping's where it is installed, else placeholders that mean nothing.

Layers say what they take and give, `Float[Tensor, "batch channels height width"]`, and the tests
execute the annotations. Scripts run without jaxtyping.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Complex as Complex
    from jaxtyping import Float as Float
else:
    try:
        from jaxtyping import Complex, Float
    except ModuleNotFoundError:

        class Float:
            """Stands in for jaxtyping's: `Float[Tensor, shape]` is `Tensor`."""

            def __class_getitem__(cls, item):
                return item[0]

        Complex = Float

__all__ = ["Complex", "Float"]
