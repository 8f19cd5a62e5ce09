"""Show how each command is called: what `--help` ends with. A test parses each line."""

from __future__ import annotations

__all__ = ["EXAMPLES", "TITLE", "show_examples"]

TITLE = "examples:"

EXAMPLES: dict[str, tuple[str, ...]] = {
    "init": (
        "wavetwin init study --twin cmod",
        "wavetwin init study --dataset folder --classes 6 --backbone resnet34 --twin cmod --twin rmax",
    ),
    "new": (
        "wavetwin new wider --from specs/cnn.yaml --set stem.free_channels=40",
        "wavetwin new best --from sweeps/lr.sweep.yaml",
    ),
    "check": (
        "wavetwin check specs",
        "wavetwin check specs --strict --format github",
        "wavetwin check specs/cnn.yaml --set training.epochs=5",
    ),
    "fmt": ("wavetwin fmt specs", "wavetwin fmt --check specs sweeps"),
    "build": (
        "wavetwin build specs/cnn.yaml",
        "wavetwin build specs --check",
        "wavetwin build specs/cnn.yaml --standalone --out apart",
    ),
    "specs": ("wavetwin specs", "wavetwin specs digits/cnn.yaml"),
    "show": (
        "wavetwin show specs/cmod.yaml --origins",
        "wavetwin show specs/cmod.yaml --packets packets.svg --graph graph.svg",
        "wavetwin show wavetwin:alexnet/AwyI_mod.yaml --passes",
    ),
    "diff": (
        "wavetwin diff specs/cnn.yaml specs/cmod.yaml",
        "wavetwin diff specs/cnn.yaml --at HEAD~3",
        "wavetwin diff runs/cnn/1f2e3d4c-s0 runs/cmod/5a6b7c8d-s0 --html difference.html",
    ),
    "run": (
        "wavetwin run specs/cnn.yaml --device cpu",
        "wavetwin run specs/cnn.yaml --seeds 0-4",
        "wavetwin run specs/cnn.yaml -- --limit-batches 5",
    ),
    "sweep": (
        "wavetwin sweep sweeps/lr.sweep.yaml --dry-run",
        "wavetwin sweep sweeps/lr.sweep.yaml --jobs 2 -- --device cpu",
        "wavetwin sweep show sweeps/lr.sweep.yaml --html sweep.html",
    ),
    "evaluate": ("wavetwin evaluate resnet34.pth --spec specs/resnet34/RI.yaml --data-root /data",),
    "report": (
        "wavetwin report runs/cnn/1f2e3d4c-s0 runs/cmod/5a6b7c8d-s0",
        "wavetwin report runs/cnn/1f2e3d4c-s0 -o report.html --figures figures",
    ),
    "export hub": ("wavetwin export hub runs/cnn/1f2e3d4c-s0 cnn-hub",),
    "export torch": ("wavetwin export torch runs/cnn/1f2e3d4c-s0 cnn.pt2 --weights last",),
    "export onnx": ("wavetwin export onnx runs/cnn/1f2e3d4c-s0 cnn.onnx",),
    "runs list": (
        "wavetwin runs list",
        "wavetwin runs list --where training.optimizer.lr=0.1 --score 'top1_error<0.3'",
    ),
    "runs show": ("wavetwin runs show cnn",),
    "runs compare": ("wavetwin runs compare cnn cmod",),
    "runs reindex": ("wavetwin runs reindex",),
    "data check": (
        "wavetwin data check specs/cnn.yaml",
        "wavetwin data check specs/cnn.yaml --data-root /data --verify --sheet sheet.html",
    ),
    "data prepare": (
        "wavetwin data prepare mnist --data-root /data",
        "wavetwin data prepare specs/cnn.yaml",
    ),
    "import weights": (
        "wavetwin import weights resnet34.pth --spec specs/resnet34/RI.yaml --out RI.safetensors",
    ),
    "import command": (
        'wavetwin import command "AwyI_mod -a DtCwptAlexNet --config Ft32Y_mod" --out AwyI_mod.yaml',
    ),
    "study discrepancy": ("wavetwin study discrepancy --out discrepancy",),
    "study stability": ("wavetwin study stability --out stability --limit-images 4",),
    "study kernels": ("wavetwin study kernels specs/cnn.yaml specs/cmod.yaml",),
    "study sparse": ("wavetwin study sparse specs/cmod.yaml",),
    "kernels build": ("wavetwin kernels build",),
    "explain": (
        "wavetwin explain training.optimizer.lr",
        "wavetwin explain samples-dropped needs-torch",
    ),
    "schema": ("wavetwin schema > spec.schema.json", "wavetwin schema sweep"),
    "completion": (
        "wavetwin completion bash > ~/.local/share/bash-completion/completions/wavetwin",
        "wavetwin completion fish > ~/.config/fish/completions/wavetwin.fish",
    ),
}
"""Calls of each command, and of each of its actions, by name."""


def show_examples(command: str) -> str:
    """Return what stands at the end of a command's help; empty where its actions have their own."""
    lines = EXAMPLES.get(command, ())
    return "\n".join((TITLE, *(f"  $ {line}" for line in lines))) if lines else ""
