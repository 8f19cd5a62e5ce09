"""Wavelet poolings as operations and in the named backbones: shapes, counts, weights, sentences."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.support.diff_pairs import compiled, differ
from wavetwin.diagnostics import CompileError
from wavetwin.ir.architecture import NoForeignNamesError
from wavetwin.ir.layer_kinds import known_layers
from wavetwin.ir.operations import BAND_MAPS, MaxPool, UnfitError, WaveletPool
from wavetwin.ir.section import declared_fields
from wavetwin.ir.wavelet_bank import PooledBands
from wavetwin.runtime.network.build import build_module, initialise, make_layer
from wavetwin.runtime.training.starting.reference_names import reference_to_graph_names

WAVELET = ("pooling.free=wavelet", "backbone.downsampling=wavelet")


@pytest.mark.parametrize("bands", BAND_MAPS)
def test_an_operation_has_the_shapes_weights_and_multiplications_of_its_layer(bands: str):
    # Sizes are those of periodization, or of all other modes.
    for mode, size, levels in product(("symmetric", "periodization"), ("half", "full"), (1, 2)):
        learn = "lattice" if levels == 2 else None
        pool = WaveletPool(
            wavelet="db3", bands=bands, levels=levels, mode=mode, size=size, learn=learn,
            mixing="depthwise" if size == "full" else "full",
        )  # fmt: skip
        x = (3, 7, 10)
        out = pool.output(x)
        layer = make_layer(pool.layer(x, out))
        layer.reset_parameters()  # pyright: ignore[reportCallIssue]
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            found = layer(torch.randn(1, *x))
        assert found.shape == (1, *out)
        assert counter.get_total_flops() == 2 * pool.macs(out, x)
        assert pool.weights(x) == {
            name: tuple(each.shape) for name, each in layer.named_parameters()
        }
        numbers = sum(each.numel() for each in layer.buffers())
        assert numbers == pool.counts(x).buffers
    with pytest.raises(UnfitError, match="one sample has no extension in mode reflect"):
        WaveletPool(wavelet="db3", mode="reflect").output((3, 1, 8))


@pytest.mark.parametrize("name", ["AI", "R50C", "V11bC"])
def test_a_named_backbone_is_pooled_by_wavelets_throughout(name: str):
    settings = "pooling.wavelet_pool={wavelet: db2, bands: mix, mixing: depthwise}"
    made = compiled(name, *WAVELET, settings)
    assert made.graph.find(MaxPool) is None
    poolings = made.graph.all_of(WaveletPool)
    assert all(found.node.parameters.trainable for found in poolings)
    for node in made.graph:
        if node.operation.subsampling == 2 and node.section != "stem":
            assert isinstance(node.operation, WaveletPool), node.id
            before = made.graph.inputs_of(node)[0].output_shape
            assert node.output_shape == (before[0], -(-before[1] // 2), -(-before[2] // 2))
    with pytest.raises(NoForeignNamesError, match="weights of the wavelet pooling"):
        reference_to_graph_names(made.graph)
    fixed = compiled(name, *WAVELET).graph
    strided = compiled(name).graph
    assert reference_to_graph_names(fixed) == reference_to_graph_names(strided)


def test_a_mix_begins_as_the_low_band_and_passes_keep_it():
    """Every other layer draws the same values, and the network the same numbers."""
    logits: list[torch.Tensor] = []
    images = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    for bands in ("ll", "mix"):
        settings = f"pooling.wavelet_pool={{wavelet: bior2.2, mode: symmetric, bands: {bands}}}"
        made = compiled("cnn", "pooling.free=wavelet", settings)
        for graph in (made.graph, made.optimised_graph):
            network = build_module(graph).eval()
            initialise(network, graph, seed=3)
            with torch.no_grad():
                logits.append(network(images))
    for other in logits[1:]:
        torch.testing.assert_close(other, logits[0], rtol=1e-4, atol=1e-5)


def test_sides_of_odd_sizes_meet_where_they_are_joined():
    """AlexNet's 57 x 57 packets and 55 x 55 free maps are pooled apart, and cropped about the centre."""
    graph = compiled("AwyI_mod", "pooling.free=wavelet").graph
    sizes = [graph.node(name).output_shape[1:] for name in ("pool.free.bands", "pool.concat")]
    assert sizes == [(28, 28), (28, 28)]
    assert compiled("AI").graph.section("pool")[-1].output_shape[1:] == (27, 27)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("wavelet: db2", "2 -> 4 taps"),
        ("bands: mix", "A mix begins as the approximation alone"),
        ("normalise: orthonormal", "multiplies a constant map by 1 -> 2"),
        ("mode: symmetric", "beyond the border"),
        ("size: full", "PyWavelets"),
    ],
)
def test_every_setting_has_its_sentence(setting: str, says: str):
    sides = [
        compiled("R18C", *WAVELET, f"pooling.wavelet_pool={text}")
        for text in ("{}", f"{{{setting}}}")
    ]
    effects = differ(*sides).effects
    assert any(says in each.text for each in effects)
    assert all("7 -> 7 wavelet poolings" in each.numbers for each in effects)


def test_a_learned_and_a_mixed_bank_are_told_from_others():
    before, after = (
        compiled("R18C", *WAVELET, f"pooling.wavelet_pool={{wavelet: db4, bands: mix, {own}}}")
        for own in ("mixing: full", "mixing: depthwise, learn: lattice")
    )
    texts = [each.text for each in differ(before, after).effects]
    assert any("3 angles a pooling are trained" in text for text in texts)
    assert any(text.startswith("A depthwise mix is of each channel's own") for text in texts)


def test_every_setting_of_the_language_has_a_sentence():
    from wavetwin.explain.diff.wavelet_pool_effects import SENTENCES

    layer = declared_fields(known_layers()["wavelet_pool"])
    assert set(SENTENCES) == {each.name for each in (*declared_fields(PooledBands), *layer)}


def test_listed_poolings_have_the_same_sentences():
    layers = "backbone.layers=[{{wavelet_pool: {{{}}}}}, {{flatten: {{}}}}, {{linear: {{}}}}]"
    plain, other, none = (
        compiled("cnn", "pooling.free=none", layers.format(text))
        if text is not None
        else compiled("cnn", "pooling.free=none", "backbone.layers=[{flatten: {}}, {linear: {}}]")
        for text in ("normalise: orthonormal", "bands: energy, levels: 2", None)
    )
    kinds = [each.kind for each in differ(plain, other).effects]
    for kind in ("bands ll -> energy", "levels 1 -> 2", "normalise orthonormal -> dc"):
        assert f"wavelet pooling: {kind}" in kinds
    (effect,) = [each for each in differ(none, plain).effects if each.kind == "wavelet poolings"]
    assert effect.numbers == "0 -> 1 wavelet pooling among the listed layers."


LISTED = (
    "pooling.free=none",
    "backbone.layers=[{wavelet_pool: {wavelet: db2, bands: all, mode: symmetric, size: full, levels: 2}}, "
    "{wavelet_pool: {bands: energy, smoothing: 0.5}}, {wavelet_pool: {bands: mix, wavelet: db3, "
    "learn: lattice}}, {flatten: {}}, {linear: {}}]",
)


def test_listed_poolings_are_the_layers_that_they_name():
    graph = compiled("cnn", *LISTED).graph
    pools = [found.node for found in graph.all_of(WaveletPool)]
    assert [node.id for node in pools] == [f"trunk.wavelet_pool{k}" for k in (1, 2, 3)]
    channels, height, width = graph.section("pool")[-1].output_shape
    for _ in range(2):
        height, width = (height + 3) // 2, (width + 3) // 2
    assert pools[0].output_shape == (4 * channels, height, width)
    energy = build_module(graph).get_submodule("trunk.wavelet_pool2")
    assert energy.bias == 0.5
    assert pools[2].parameters.trainable == 2 + 4 * (8 * channels) ** 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        (("pooling.wavelet_pool={wavelet: db2}",), "field-does-not-apply"),
        (("pooling.free=wavelet", "pooling.wavelet_pool={wavelet: db99}"), "unknown-filters"),
        (("pooling.free=wavelet", "pooling.wavelet_pool={learn: lattice}"), "wavelet-without-lattice"),
        (("pooling.free=wavelet", "pooling.wavelet_pool={learn: taps}"), "unknown-choice"),
    ],
)  # fmt: skip
def test_settings_that_have_no_meaning_are_refused(changes: tuple[str, ...], code: str):
    from tests.support.shipped import compiled_once, spec_of

    with pytest.raises(CompileError) as caught:
        compiled_once(spec_of("R18C"), *changes)
    (fault,) = caught.value.diagnostics
    assert fault.code == code
    if code == "unknown-choice":
        assert fault.help == "choose false or lattice"


def test_seed_002s_network_is_eight_times_an_average_pooling():
    """Logits of the same initial values: LL at dc gain, a mix and an average pooling are one."""
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    logits: dict[str, torch.Tensor] = {}
    for name in ("posted", "posted_dc", "posted_average", "posted_mix"):
        graph = compiled(name).graph
        network = build_module(graph).eval()
        initialise(network, graph, seed=5)
        with torch.no_grad():
            logits[name] = network(images)
    assert compiled("posted").graph.parameters.trainable == 3_509_331
    tolerance = 1e-5 * float(logits["posted_dc"].abs().max())
    for name in ("posted_average", "posted_mix"):
        torch.testing.assert_close(logits[name], logits["posted_dc"], rtol=0, atol=tolerance)
    torch.testing.assert_close(logits["posted"] / 8, logits["posted_dc"], rtol=0, atol=tolerance)
