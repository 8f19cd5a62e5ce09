"""The folders of `--set` variants: names that a reader knows, and that never meet."""

import pytest

from wavetwin.ir.build_names import build_name, variant_label


@pytest.mark.parametrize(
    ("overrides", "label"),
    [
        ([], ""),
        (["training.seed=3"], "seed=3"),
        (["training.optimizer.lr=1e-3", "backbone.arch=resnet18"], "lr=1e-3,arch=resnet18"),
        (["stem.wavelet= null"], "wavelet=null"),
        (["tags=[a, b]"], ""),
        (["training.seed=3", "data.root=../x"], ""),
        (["summary=" + "x" * 60], ""),
    ],
)
def test_labels(overrides: list[str], label: str) -> None:
    assert variant_label(overrides) == label


def test_names_of_one_label_differ_by_the_digest() -> None:
    digest = "0123456789abcdef"
    assert build_name("cnn", digest, []) == "cnn"
    assert build_name("cnn", digest, ["training.seed=3"]) == "cnn@seed=3-01234567"
    assert build_name("cnn", digest, ["tags=[a]"]) == "cnn@01234567"
