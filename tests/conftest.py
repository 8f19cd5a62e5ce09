"""Tests run with the runtime's shape annotations executed (jaxtyping and beartype)."""

from jaxtyping import install_import_hook

install_import_hook("wavetwin.runtime", "beartype.beartype")
