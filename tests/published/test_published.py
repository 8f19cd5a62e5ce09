"""The published figures that are shipped, against what the repository knows of them otherwise."""

from __future__ import annotations

import math

import pytest

from tests.support.shipped import published, spec_of
from wavetwin import published as figures
from wavetwin.compiler.compiled import compile_spec
from wavetwin.provenance.package import imported_package

INFO = published()
DIRECTIONS = ("horizontal", "vertical", "diagonal")


def model_of(name: str) -> figures.PublishedModel:
    model = figures.find_published(name)
    assert model is not None
    return model


def test_all_published_models_are_there() -> None:
    assert sorted(figures.published_models()) == sorted(INFO)
    assert len(INFO) == 35
    assert figures.find_published("no such model") is None


@pytest.mark.parametrize("name", sorted(INFO))
def test_model_is_whole_and_is_that_of_the_shipped_spec(name: str) -> None:
    model, info = model_of(name), INFO[name]
    same = (
        "architecture", "config", "epochs", "trainable_parameters", "lr", "momentum",
        "weight_decay", "batch_size", "batch_accumulation", "iterations",
    )  # fmt: skip
    assert {key: getattr(model, key) for key in same} == {key: info[key] for key in same}
    assert model.lambdas == (None if info["lambdas"] is None else tuple(info["lambdas"]))
    assert f"StepLR{model.step_epochs}" == info["lr_scheduler"]

    compiled = compile_spec(spec_of(name))
    assert model.model_digest == compiled.model_digest
    assert figures.find_published_by_model(compiled.model_digest) is model
    assert compiled.plan.data.dataset == model.dataset
    said = compiled.spec.published
    assert said is not None
    assert model.error("one_crop", "test", "top1_error") == said.top1_error
    assert model.error("ten_crops", "test", "top1_error") == said.ten_crops_top1_error
    assert model.error("one_crop", "test", "top5_error") == said.top5_error

    assert len(model.train_loss) == len(model.validation_top1_error) == model.epochs
    steps = 8 if model.dataset == "imagenet" else 4
    for direction in DIRECTIONS:
        rates = model.flip_rates(direction)
        assert list(rates) == list(range(1, steps + 1))
        assert all(0 < rate < 1 for rate in rates.values())
        divergences = model.divergences(direction)
        assert len(divergences) == 17
        assert divergences[0] == 0
    assert model.flip_rates("both") == {}


def test_poster_mean_flip_rates_come_from_these_figures() -> None:
    """78.1 and 77.2 % of AlexNet's, as the poster has them."""

    def mean(name: str) -> float:
        rates = [model_of(name).flip_rates(direction).values() for direction in DIRECTIONS]
        return sum(map(sum, rates)) / sum(map(len, rates))

    assert round(100 * mean("RI") / mean("AI"), 1) == 78.1
    assert round(100 * mean("RwyI") / mean("AI"), 1) == 77.2


def test_corruptions_and_perturbations_of_five_models() -> None:
    having = [
        name for name, model in figures.published_models().items() if model.corruption_errors()
    ]
    assert having == ["AI", "AwyI", "AwyI_mod", "RI", "Rzo3I"]
    for name in having:
        errors = model_of(name).corruption_errors()
        assert len(errors) == 15
        assert {tuple(severities) for severities in errors.values()} == {(1, 2, 3, 4, 5)}
        assert len(model_of(name).perturbation_rates()) == 8
    # wcnn has AI's accuracy under the weakest brightness as 0.54186.
    assert math.isclose(model_of("AI").corruption_errors()["brightness"][1], 1 - 0.54186)


def test_tables_of_other_papers() -> None:
    tables = figures.published_tables()
    assert {table.dataset for table in tables} == {
        "imagenet", "cifar10", "cifar100", "tiny_imagenet", "mnist",
    }  # fmt: skip
    for table in tables:
        assert "On the Shift Invariance" in table.source or "A Learnable ScatterNet" in table.source
        for _, model, values in table.rows:
            assert len(values) == len(table.columns)
            assert all(value is None or 0 <= value < 1.1 for value in values)
            if model is None:
                continue
            if figures.find_published(model) is None:
                assert spec_of(model).is_file()
                continue
            # Printed with one digit after the point, of other trained instances in part.
            printed = table.row_of(model).get("top1_error")
            stored = model_of(model).error("one_crop", "test", "top1_error")
            assert stored is not None
            assert printed is None or math.isclose(printed, stored, abs_tol=0.011)
    assert table_of("Fig. 9").row_of("RI") == {
        "top1_error": 0.276, "top5_error": 0.092, "ten_crops_top5_error": 0.077, "mfr": 0.781,
    }  # fmt: skip
    assert table_of("Fig. 9").row_of("R18C") == {}


def table_of(title: str) -> figures.PublishedTable:
    return next(table for table in figures.published_tables() if table.title.startswith(title))


def test_figures_are_no_part_of_the_package_digest() -> None:
    """A figure corrected later must not stop a queued script: none of them decides a number."""
    files = imported_package().files
    assert "wavetwin/published/__init__.py" in files
    assert not [name for name in files if name.startswith("wavetwin/published/") and "json" in name]
