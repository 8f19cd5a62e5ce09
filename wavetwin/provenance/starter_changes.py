"""Compare starter specs with the wheel or the commit that they came with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from wavetwin.provenance.git_state import Difference, Repository
from wavetwin.provenance.package import STARTERS, Package, sha256_of
from wavetwin.provenance.starters import PREFIX

__all__ = ["changed_starters"]


def changed_starters(
    files: Mapping[str, Path], package: Package, home: Repository | None
) -> list[Difference]:
    """Return the starters that are not as the installed wheel or the checkout's commit has them.

    Args:
        files: those that a build reads, by name.
        package: the wavetwin that compiles.
        home: the checkout's repository; None of a wheel, and outside any: the package is then an
            input outside a repository itself.
    """
    if package.is_wheel:
        return [
            Difference(name, "modified")
            for name, file in files.items()
            if sha256_of(file.read_bytes())
            != package.installed_starters.get(STARTERS + name.removeprefix(PREFIX))
        ]
    return [] if home is None else home.differences(files.values())
