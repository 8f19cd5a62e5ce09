import subprocess
import sys
from pathlib import Path

import pytest


def _python(source: str, *label: str) -> str:
    command = [sys.executable, "-W", "error", "-c", source, *label]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


LAYOUTS = '''
"""Tries import_torchvision on invented layouts of torchvision, each in a process of its own."""
import inspect, os, sys, warnings
from pathlib import Path
import torch
import torch.library
from wavetwin.runtime import import_torchvision

# As the compiled extension does it: everything of the name space, once.
OPERATORS = """
import torch
library = torch.library.Library("torchvision", "DEF")
for name in %r:
    library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.impl(name, lambda dets, scores, iou_threshold: dets + 1, "CPU")
"""
FAKES = """
import torch, torchvision.extension
%s
@torch.library.register_fake("torchvision::nms")
def fake_nms(dets, scores, iou_threshold):
    return dets
@torch.library.register_fake("torchvision::qnms")
def fake_qnms(dets, scores, iou_threshold):
    return dets
"""

def layout(name, extension, fakes=FAKES % "", first="from . import extension"):
    folder = Path(sys.argv[1]) / name / "torchvision"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(
        f"{first}\\nfrom torchvision import registrations, models\\n__version__ = '9'\\n"
    )
    (folder / "extension.py").write_text(extension)
    (folder / "registrations.py").write_text(fakes)
    (folder / "models.py").write_text("LIST = ['resnet18']\\n")
    return folder.parent

def defined():
    return [name for name in ("nms", "qnms") if hasattr(torch.ops.torchvision, name)]

def works(name, *layout_of, before=lambda: None):
    def attempt():
        sys.path.insert(0, str(layout(name, *layout_of)))
        before()
        module = import_torchvision()
        assert import_torchvision() is module
        assert module.models.LIST == ["resnet18"] and module.extension and module.registrations
        assert defined() == ["nms", "qnms"]
        return module
    return attempt

def computes(*arguments, **keywords):
    def attempt():
        works(*arguments, **keywords)()
        one = torch.ones(1)
        assert torch.ops.torchvision.nms(one, one, 0.5).item() == 2
    return attempt

def fails(name, *layout_of, match, error=ImportError, leaves=[]):
    def attempt():
        sys.path.insert(0, str(layout(name, *layout_of)))
        try:
            import_torchvision()
        except error as raised:
            assert match in str(raised), raised
        else:
            raise AssertionError("imported")
        assert defined() == leaves
    return attempt

def import_and_fail():
    try:
        import torchvision
    except RuntimeError:
        return
    raise AssertionError("imported")

def not_there():
    sys.path[:] = [entry for entry in sys.path if not (Path(entry) / "torchvision").is_dir()]
    try:
        import_torchvision()
    except ImportError as error:
        assert "pip install torchvision" in str(error)
    else:
        raise AssertionError("imported")

fake = inspect.signature(torch.library.register_fake).parameters
registers_again = "allow_override" in fake and fake["allow_override"].default
STABLE = OPERATORS % (["nms", "qnms"],)
CASES = [
    computes("loads under another name", STABLE),
    computes("loads, and was imported before", STABLE, before=lambda: __import__("torchvision")),
    works("does not load", ""),
    works("failed before", "", before=import_and_fail),
    computes("has one of the two", OPERATORS % (["nms"],))
    if registers_again
    else fails("has one of the two", OPERATORS % (["nms"],), match="install the two together",
               leaves=["nms", "qnms"]),
    fails("another operator", "", 'import torch\\ntorch.library.register_fake("torchvision::new")'
          '(lambda: None)', match="install the two together"),
    fails("another fault", "", "raise RuntimeError('no such driver')", match="no such driver"),
    fails("a package is missing", "", "import no_such_package", match="no_such_package",
          error=ModuleNotFoundError),
    not_there,
]
for number, case in enumerate(CASES):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            case()
            code = 0
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            if code:
                import traceback
                traceback.print_exc()
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0, f"case {number} failed"
print(len(CASES), "layouts")
'''


@pytest.mark.slow  # starts Python for each layout
def test_layouts_of_torchvision(tmp_path: Path):
    """Import first, mend only after the known error, and define no operator twice."""
    assert _python(LAYOUTS, str(tmp_path)) == "9 layouts\n"


def test_torch_and_torchvision_are_imported_when_they_are_asked_for():
    """The runtime package imports no torch; torchvision comes with its transforms and models."""
    program = """
import sys, wavetwin.runtime
assert "torch" not in sys.modules
from wavetwin.runtime import DualTreePackets, build_module, regularisation
assert "torch" in sys.modules
assert "torchvision" not in sys.modules
try:
    wavetwin.runtime.nothing
except AttributeError:
    print("no such name")
from wavetwin.runtime.process.torchvision_compat import import_torchvision
torchvision = import_torchvision()
assert import_torchvision() is torchvision
import torchvision.datasets, torchvision.models
from torchvision.transforms import v2
import torch
print(v2.CenterCrop(3)(torch.zeros(1, 5, 5)).shape[-1])
"""
    assert _python(program) == "no such name\n3\n"


@pytest.mark.slow
def test_every_public_name_exists_without_jaxtyping():
    program = """
import sys
sys.modules["jaxtyping"] = None
import wavetwin.runtime as runtime
print(len([getattr(runtime, name) for name in runtime.__all__]) == len(runtime.__all__))
"""
    assert _python(program) == "True\n"
