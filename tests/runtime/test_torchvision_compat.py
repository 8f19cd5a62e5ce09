import subprocess
import sys


def _python(source: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_torchvision_imports_with_transforms_and_models():
    program = """
from wavetwin.runtime.torchvision_compat import import_torchvision
torchvision = import_torchvision()
assert import_torchvision() is torchvision
import torchvision.datasets, torchvision.models
from torchvision.transforms import v2
import torch
print(v2.CenterCrop(3)(torch.zeros(1, 5, 5)).shape[-1])
"""
    assert _python(program) == "3\n"


def test_the_runtime_package_imports_no_torch():
    program = """
import sys, wavetwin.runtime
assert "torch" not in sys.modules
from wavetwin.runtime import DualTreePackets, build_module, regularisation
assert "torch" in sys.modules
try:
    wavetwin.runtime.nothing
except AttributeError:
    print("no such name")
"""
    assert _python(program) == "no such name\n"


def test_every_public_name_exists_without_jaxtyping():
    program = """
import sys
sys.modules["jaxtyping"] = None
import wavetwin.runtime as runtime
print(len([getattr(runtime, name) for name in runtime.__all__]) == len(runtime.__all__))
"""
    assert _python(program) == "True\n"
