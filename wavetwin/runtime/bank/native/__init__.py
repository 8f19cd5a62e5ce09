"""Compute the bank by a kernel in C++, kernel.cpp, built on the user's machine."""

from wavetwin.runtime.bank.native.library import (
    Library,
    NoLibraryError,
    build_library,
    find_library,
    has_native_kernel,
    kernels_folder,
)

__all__ = [
    "Library",
    "NoLibraryError",
    "build_library",
    "find_library",
    "has_native_kernel",
    "kernels_folder",
]
