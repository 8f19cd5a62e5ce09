"""Training plans made by hand, for tests of the runtime."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from wavetwin.ir.evaluations import EVALUATIONS, OneCrop, Shifts
from wavetwin.ir.optimizers import OPTIMIZERS, AdamW, Sgd
from wavetwin.ir.plan import DataPlan, TrainingPlan
from wavetwin.ir.schedules import SCHEDULES, Step

DATA = DataPlan(
    dataset="digits",
    channels=1,
    num_classes=10,
    image_size=12,
    augmentation="pad_crop",
    normalise="dataset",
    mean=(0.3053,),
    std=(0.3760,),
    validation=1400,
    validation_per_class=False,
    training_images=37,
)
SGD = Sgd(lr=0.05)
ADAMW = AdamW(lr=0.01, weight_decay=1e-2)
STEP = Step(step_epochs=1, gamma=0.5)
ONE_CROP = OneCrop()


def shifts(direction: Any, metric: Any, max_shift: int = 3, divide: int = 1) -> Shifts:
    return Shifts(direction=direction, max_shift=max_shift, pixel_divide=divide, metric=metric)


def make_plan(**changes: Any) -> TrainingPlan:
    """A small plan: 37 digits, batches of 8 (the last has 5), 3 epochs."""
    plan = TrainingPlan(
        name="tiny",
        data=DATA,
        epochs=3,
        batch_size=8,
        accumulate=1,
        iterations_per_epoch=5,
        optimizer=SGD,
        schedule=STEP,
        regularisation=None,
        record_gradients=False,
        precision="float32",
        memory_format="contiguous",
        seed=7,
        streams={},
        threads=1,
        checkpoint_every=2,
        initial_weights=None,
        evaluation=(ONE_CROP,),
        digest="d" * 64,
        training_digest="a1b2c3d4" + "0" * 56,
        model_digest="e" * 64,
    )
    data = {key: changes.pop(key) for key in list(changes) if hasattr(DATA, key)}
    return replace(plan, data=replace(DATA, **data), **changes)


def version_1(plan: TrainingPlan) -> dict[str, Any]:
    """Return plan.json as it was: the fields of all kinds, null where they are another kind's."""
    document = plan.to_json()
    document["wavetwin_plan"] = 1
    for part, kinds in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
        document[part] = dict.fromkeys(kinds.all_fields()) | document[part]
    every = dict.fromkeys(EVALUATIONS.all_fields())
    document["evaluation"] = [every | entry for entry in document["evaluation"]]
    return document
