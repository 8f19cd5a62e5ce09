"""Read what a spec says of a user's own images, before anybody knows their classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wavetwin.compiler.parse.compose import LoadedSpec, load_spec
from wavetwin.compiler.parse.project import checked_project, find_project
from wavetwin.compiler.validate.checks.images import needs_field
from wavetwin.compiler.validate.spec import conflict, validate_form
from wavetwin.diagnostics import CompileError
from wavetwin.ir.datasets import DATASETS
from wavetwin.ir.frozen import frozen
from wavetwin.ir.plan import DataPlan
from wavetwin.ir.sides import image_size

__all__ = ["SpecImages", "read_own_images"]


@frozen
class SpecImages:
    """Where a spec's images lie, and which of its files has their lock."""

    loaded: LoadedSpec
    plan: DataPlan
    """Without classes: `num_classes` is 0."""
    lock_file: str | None
    """The file that sets `data.lock`, relative to the project; None: nothing does."""
    validation: int | None
    """What the spec itself says of images held out; None: the lock's usual number is taken."""

    @property
    def lock_name(self) -> str:
        """What the file of a lock is called: it is a part of specs, and begins with '_'."""
        plan = self.plan
        names = [plan.folder] if plan.folder else []
        names += [Path(each).stem for each in (plan.file, plan.split_list) if each]
        names = names or [plan.dataset]
        return f"_{'.'.join(names)}.yaml"


def read_own_images(
    path: Path, overrides: Sequence[str] = (), project: Path | None = None
) -> SpecImages:
    """Return what a spec says of its images; what does not go together in it is left to `check`.

    Raises:
        CompileError: a value is of a wrong form, or the images are no user's own.
    """
    project = find_project(path) if project is None else checked_project(project, path)
    loaded = load_spec(path, project, overrides)
    spec, diagnostics = validate_form(loaded)
    if spec is None:
        raise CompileError(diagnostics)
    data = spec.data
    dataset = DATASETS[data.dataset]
    missing = [name for name in dataset.needs if getattr(data, name) is None]
    if missing:
        raise CompileError([needs_field(loaded, dataset, missing[0])])
    if not dataset.is_own:
        prepared = f": `wavetwin data prepare {dataset.name}` lays them out"
        raise CompileError(
            [
                conflict(
                    loaded,
                    "bad-argument",
                    f"the classes of {dataset.name} are known, its images need no lock",
                    ["data.dataset"],
                    help="build it as it is" + prepared * (dataset.preparer is not None),
                )
            ]
        )
    location = loaded.node("data.lock.sha256")
    return SpecImages(
        loaded,
        DataPlan(
            dataset=data.dataset,
            channels=data.num_channels,
            num_classes=0,
            image_size=image_size(*data.sides),
            augmentation=dataset.augmentation,
            normalise=data.normalise or "dataset",
            mean=None,
            std=None,
            validation=0,
            validation_per_class=dataset.per_class,
            training_images=None,
            folder=data.folder,
            split_list=data.split_list,
            file=data.file,
        ),
        None if location is None else location.location.path,
        data.validation,
    )
