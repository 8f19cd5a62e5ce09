"""Build, train and evaluate what the compiler planned; never read YAML.

The layers are usable in anybody's model. The generated scripts import from here, and model.py from
`wavetwin.runtime.layers`: these two paths stay. Importing this package imports no torch; most of its
names do.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wavetwin.provenance.record import RunProvenance
    from wavetwin.runtime.evaluation.compiled import (
        check_evaluation_compiler,
        compile_for_evaluation,
    )
    from wavetwin.runtime.evaluation.entries import score_one_crop
    from wavetwin.runtime.evaluation.scores_file import ScoresFile
    from wavetwin.runtime.evaluation.suite import evaluate_suite
    from wavetwin.runtime.layers import (
        AdaptiveBlur,
        BlurPool,
        CenterCropConcat,
        ChannelBias,
        ColourMixing,
        ColourMixingAfter,
        DualTreePacketMaps,
        DualTreePackets,
        EnergyNorm,
        Invariant,
        KeepPackets,
        MixedPackets,
        Modulus,
        PacketMixing,
        Scattering2d,
        SeparablePackets,
        Subsample,
        WaveletPool2d,
        WaveletUnpool2d,
        leaf_modules,
    )
    from wavetwin.runtime.network.build import build_module, initialise
    from wavetwin.runtime.network.kernels import ResultingKernel, resulting_kernel
    from wavetwin.runtime.network.load_model import load_build_model
    from wavetwin.runtime.process.compilers import check_compiler
    from wavetwin.runtime.process.processes import Processes
    from wavetwin.runtime.process.scripts import (
        ScriptArguments,
        prepare_device,
        project_of,
        run_script,
    )
    from wavetwin.runtime.process.torchvision_compat import import_torchvision
    from wavetwin.runtime.training.compiled_network import CompiledNetwork
    from wavetwin.runtime.training.frozen_parts import FrozenParts
    from wavetwin.runtime.training.loss_scaler import LossScaler
    from wavetwin.runtime.training.losses import (
        build_loss,
        l1_linf_penalty,
        regularisation,
        weighted_cross_entropy,
    )
    from wavetwin.runtime.training.mixed_images import mix_images
    from wavetwin.runtime.training.plan_file import plan_of_run, read_graph, read_plan
    from wavetwin.runtime.training.records import read_gradients
    from wavetwin.runtime.training.run_folder import RunFolder, find_run
    from wavetwin.runtime.training.schedule import LearningRate, build_optimizer
    from wavetwin.runtime.training.start import load_images, start_evaluation, start_training
    from wavetwin.runtime.training.starting.free_channels import load_free_channels
    from wavetwin.runtime.training.starting.start import load_start
    from wavetwin.runtime.training.train import TrainingRun
    from wavetwin.runtime.training.training_batches import place
    from wavetwin.runtime.training.weight_average import WeightAverage

__all__ = [
    "AdaptiveBlur",
    "BlurPool",
    "CenterCropConcat",
    "ChannelBias",
    "ColourMixing",
    "ColourMixingAfter",
    "CompiledNetwork",
    "DualTreePacketMaps",
    "DualTreePackets",
    "EnergyNorm",
    "FrozenParts",
    "Invariant",
    "KeepPackets",
    "LearningRate",
    "LossScaler",
    "MixedPackets",
    "Modulus",
    "PacketMixing",
    "Processes",
    "ResultingKernel",
    "RunFolder",
    "RunProvenance",
    "Scattering2d",
    "ScoresFile",
    "ScriptArguments",
    "SeparablePackets",
    "Subsample",
    "TrainingRun",
    "WaveletPool2d",
    "WaveletUnpool2d",
    "WeightAverage",
    "build_loss",
    "build_module",
    "build_optimizer",
    "check_compiler",
    "check_evaluation_compiler",
    "compile_for_evaluation",
    "evaluate_suite",
    "find_run",
    "import_torchvision",
    "initialise",
    "l1_linf_penalty",
    "leaf_modules",
    "load_build_model",
    "load_free_channels",
    "load_images",
    "load_start",
    "mix_images",
    "place",
    "plan_of_run",
    "prepare_device",
    "project_of",
    "read_gradients",
    "read_graph",
    "read_plan",
    "regularisation",
    "resulting_kernel",
    "run_script",
    "score_one_crop",
    "start_evaluation",
    "start_training",
    "weighted_cross_entropy",
]

_MODULES = {
    "FrozenParts": "wavetwin.runtime.training.frozen_parts",
    "LearningRate": "wavetwin.runtime.training.schedule",
    "Processes": "wavetwin.runtime.process.processes",
    "ResultingKernel": "wavetwin.runtime.network.kernels",
    "RunFolder": "wavetwin.runtime.training.run_folder",
    "RunProvenance": "wavetwin.provenance.record",
    "ScoresFile": "wavetwin.runtime.evaluation.scores_file",
    "ScriptArguments": "wavetwin.runtime.process.scripts",
    "TrainingRun": "wavetwin.runtime.training.train",
    "CompiledNetwork": "wavetwin.runtime.training.compiled_network",
    "check_evaluation_compiler": "wavetwin.runtime.evaluation.compiled",
    "compile_for_evaluation": "wavetwin.runtime.evaluation.compiled",
    "LossScaler": "wavetwin.runtime.training.loss_scaler",
    "check_compiler": "wavetwin.runtime.process.compilers",
    "WeightAverage": "wavetwin.runtime.training.weight_average",
    "build_loss": "wavetwin.runtime.training.losses",
    "build_module": "wavetwin.runtime.network.build",
    "build_optimizer": "wavetwin.runtime.training.schedule",
    "evaluate_suite": "wavetwin.runtime.evaluation.suite",
    "find_run": "wavetwin.runtime.training.run_folder",
    "import_torchvision": "wavetwin.runtime.process.torchvision_compat",
    "initialise": "wavetwin.runtime.network.build",
    "l1_linf_penalty": "wavetwin.runtime.training.losses",
    "load_build_model": "wavetwin.runtime.network.load_model",
    "load_free_channels": "wavetwin.runtime.training.starting.free_channels",
    "load_images": "wavetwin.runtime.training.start",
    "load_start": "wavetwin.runtime.training.starting.start",
    "mix_images": "wavetwin.runtime.training.mixed_images",
    "place": "wavetwin.runtime.training.training_batches",
    "plan_of_run": "wavetwin.runtime.training.plan_file",
    "prepare_device": "wavetwin.runtime.process.scripts",
    "project_of": "wavetwin.runtime.process.scripts",
    "read_gradients": "wavetwin.runtime.training.records",
    "read_graph": "wavetwin.runtime.training.plan_file",
    "read_plan": "wavetwin.runtime.training.plan_file",
    "regularisation": "wavetwin.runtime.training.losses",
    "resulting_kernel": "wavetwin.runtime.network.kernels",
    "run_script": "wavetwin.runtime.process.scripts",
    "score_one_crop": "wavetwin.runtime.evaluation.entries",
    "start_evaluation": "wavetwin.runtime.training.start",
    "start_training": "wavetwin.runtime.training.start",
    "weighted_cross_entropy": "wavetwin.runtime.training.losses",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _MODULES:
        # What scripts are made of; the layers run wherever torch does.
        from wavetwin.diagnostics.system import end_on_unsupported_system

        end_on_unsupported_system()
    return getattr(importlib.import_module(_MODULES.get(name, f"{__name__}.layers")), name)
