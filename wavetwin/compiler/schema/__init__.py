"""Define the spec language, version 1, as closed models: every field, its range and its default.

The language's rule for what is absent: `null` removes an inherited value, so no field here takes
null from a file; `None` as a default means "resolve fills it in from the architecture or the data
set". Rules that join several fields are in `validate`. The description of each field is its
docstring; the JSON Schema that editors read is made from these models. What the plan holds as it is,
how the model is trained and judged, is declared in `ir` and made a model here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from wavetwin.compiler.schema.augmentation import (
    read_transforms,
    transform_item,
    transform_models,
    transforms_of,
)
from wavetwin.compiler.schema.data import DatasetName, DataSpec
from wavetwin.compiler.schema.evaluation import EvaluationSpec, default_entries
from wavetwin.compiler.schema.labels import (
    Fraction,
    LintAllowSpec,
    LintSpec,
    PublishedSpec,
)
from wavetwin.compiler.schema.layers import (
    are_layers,
    faulty_lists,
    given_fields,
    item_models,
    items_below,
    law_model,
    laws_of,
    layer_models,
    layers_of,
    name_of,
    read_items,
    read_law,
    with_laws,
)
from wavetwin.compiler.schema.model import (
    NAME_PATTERN,
    NAME_RULE,
    SpecModel,
    scalar_or_list,
    with_defaults,
)
from wavetwin.compiler.schema.network import (
    Architecture,
    BackboneSpec,
    ColorMixingSpec,
    Downsampling,
    ExcludeRule,
    FreePooling,
    InitialWeightsSpec,
    KeepSpec,
    Lambda,
    PoolingSpec,
    StemSpec,
    WaveletPooling,
    WaveletPoolSpec,
    WaveletSpec,
)
from wavetwin.compiler.schema.training import OptimizerSpec, ScheduleSpec, TrainingSpec
from wavetwin.compiler.schema.weights import WeightsSpec

__all__ = [
    "LANGUAGE_VERSION",
    "NAME_PATTERN",
    "NAME_RULE",
    "Architecture",
    "BackboneSpec",
    "ColorMixingSpec",
    "DataSpec",
    "DatasetName",
    "Downsampling",
    "EvaluationSpec",
    "ExcludeRule",
    "ExperimentSpec",
    "Fraction",
    "FreePooling",
    "InitialWeightsSpec",
    "KeepSpec",
    "Lambda",
    "LintAllowSpec",
    "LintSpec",
    "OptimizerSpec",
    "PoolingSpec",
    "PublishedSpec",
    "ScheduleSpec",
    "SpecModel",
    "StemSpec",
    "TrainingSpec",
    "WaveletPoolSpec",
    "WaveletPooling",
    "WaveletSpec",
    "WeightsSpec",
    "are_layers",
    "faulty_lists",
    "given_fields",
    "item_models",
    "items_below",
    "law_model",
    "laws_of",
    "layer_models",
    "layers_of",
    "name_of",
    "read_items",
    "read_law",
    "read_transforms",
    "transform_item",
    "transform_models",
    "transforms_of",
    "with_laws",
]

LANGUAGE_VERSION = 1


class ExperimentSpec(SpecModel):
    """A spec: what a model is, how it is trained and how it is judged."""

    wavetwin: Literal[1]
    """Version of the spec language."""
    extends: Annotated[
        Annotated[str, Field(min_length=1), Tag("scalar")]
        | Annotated[
            tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False), Tag("list")
        ],
        Discriminator(scalar_or_list),
    ] = ()
    """Parents: paths relative to this file, inside the project, or starter specs of the installed
    wavetwin, such as `wavetwin:resnet34/RwyI.yaml`; later ones win."""
    name: str | None = Field(default=None, pattern=NAME_PATTERN)
    """Label of the experiment and of what is built; default: the file's stem."""
    summary: str | None = Field(default=None, max_length=500)
    """One line about the experiment."""
    tags: tuple[Annotated[str, Field(pattern=NAME_PATTERN)], ...] = Field(
        default=(), max_length=64, strict=False
    )
    """Labels to find the experiment by."""
    backbone: BackboneSpec
    """The network around the stem."""
    stem: StemSpec = Field(default_factory=lambda: with_defaults(StemSpec))
    """The first layer."""
    pooling: PoolingSpec = Field(default_factory=lambda: with_defaults(PoolingSpec))
    """The first pooling."""
    data: DataSpec
    """The images."""
    training: TrainingSpec = Field(default_factory=lambda: with_defaults(TrainingSpec))
    """How the model is trained."""
    weights: WeightsSpec | None = None
    """Weights that the training starts from; absent: random ones."""
    evaluation: tuple[EvaluationSpec, ...] = Field(
        default_factory=default_entries, max_length=256, strict=False
    )
    """The evaluation suite, in order."""
    published: PublishedSpec | None = None
    """Figures from the literature to compare with."""
    lint: LintSpec | None = None
    """Warnings that are left out."""
