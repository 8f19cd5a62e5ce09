"""Tests run with the layers' shape annotations executed (jaxtyping and beartype)."""

from jaxtyping import install_import_hook

install_import_hook(
    ["wavetwin.runtime.layers", "wavetwin.runtime.bank", "wavetwin.runtime.wavelets"],
    "beartype.beartype",
)
