"""The native kernel against the torch bank, with its derivatives, threads, layouts and cache."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.flop_counter import FlopCounterMode

from tests.runtime.bank.test_bank import PUBLISHED, as_list, assert_close, published_stem, tensors
from tests.support.forked import Copy
from tests.support.paths import ROOT
from wavetwin.runtime.bank import BankInfo, mixed_packets
from wavetwin.runtime.bank.layout import make_layout
from wavetwin.runtime.bank.native import NoLibraryError, build_library, find_library, library
from wavetwin.runtime.bank.native.cascade import make_program
from wavetwin.runtime.bank.native.compute import Kept, apply_adjoint, apply_forward
from wavetwin.runtime.bank.native.operator import KEPT_BYTES

pytestmark = pytest.mark.usefixtures("one_thread")

Case = tuple[BankInfo, tuple[int, int], int, bool]
"""What is computed, the image's size and colours, and whether it lies channels-last."""


@st.composite
def cases(draw: st.DrawFn, max_levels: int = 3) -> tuple[Any, ...]:
    """Return a bank of any levels, steps, packets, bands, windows and images that have a part in it.

    As arguments of `case_of`: checks of annotations would draw random numbers where hypothesis does.
    """
    levels = draw(st.integers(1, max_levels))
    all_packets = st.integers(0, 2 * 4**levels - 1)
    groups, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    first = groups * draw(st.integers(1, 3))
    kept = draw(st.lists(all_packets, min_size=first + 1, max_size=first + 6))
    bands = ((first, groups * outputs, groups), (len(kept) - first, draw(st.integers(1, 9)), 1))
    filters = draw(st.sampled_from(["qshift_06", "qshift_a", "qshift_b"]))
    # Any step: whole stages and parts of them, and the packets' own strides.
    step = draw(st.sampled_from([1, 2, 2, 3, 4, 4, 6, 8, 16]))
    height, width = draw(st.integers(1, 41)), draw(st.integers(1, 70))
    starts = draw(st.integers(-9, 3)), draw(st.integers(-40, 2))
    sizes = draw(st.integers(1, 9)), draw(st.integers(1, 14))
    reach = (12 if filters != "qshift_b" else 16) + 9 * (2**levels - 2)
    starts = tuple(
        max(start, 1 - reach - step * (size - 1)) for start, size in zip(starts, sizes, strict=True)
    )
    starts = tuple(
        min(start, pixels - 1) for start, pixels in zip(starts, (height, width), strict=True)
    )
    is_complex = draw(st.booleans())
    has_modulus = is_complex and draw(st.booleans())
    bank = (levels, filters, tuple(kept), bands, step, starts, *sizes, is_complex, has_modulus)
    return bank, (height, width), draw(st.sampled_from([1, 3, 4])), draw(st.booleans())


def case_of(arguments: tuple[Any, ...]) -> Case:
    return BankInfo(*arguments[0]), *arguments[1:]


def leaves(case: Case, dtype: torch.dtype = torch.float64, batch: int = 3) -> list[Tensor]:
    """Return the image, the weights of each band, the bias and, of several channels, the colours'."""
    info, image, colours, is_channels_last = case
    x, weights, colour = tensors(info, image, dtype, batch, colours)
    if is_channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    bias = torch.linspace(-1, 1, info.outputs, dtype=dtype)
    found = [x, *weights, bias, *([] if colour is None else [colour])]
    return [value.requires_grad_() for value in found]


def apply(case: Case, values: Sequence[Tensor], native: bool) -> list[Tensor]:
    info = case[0]
    x, first, second, bias, *colour = values
    return as_list(
        mixed_packets(x, [first, second], info, *(colour or [None]), bias, native=native)
    )


def directions(result: Sequence[Tensor]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    shapes = [(part.shape, part.dtype) for part in result]
    return [torch.randn(shape, generator=generator, dtype=dtype) for shape, dtype in shapes]


@settings(max_examples=15, deadline=None, derandomize=True)
@given(cases())
def test_the_kernel_computes_what_the_torch_bank_does(arguments: tuple[Any, ...]):
    compare_with_the_torch_bank(case_of(arguments))


@pytest.mark.slow  # the torch bank is laid out for each
@settings(max_examples=300, deadline=None, derandomize=True)
@given(cases(max_levels=4))
def test_many_banks_are_what_the_torch_bank_computes(arguments: tuple[Any, ...]):
    compare_with_the_torch_bank(case_of(arguments))


def compare_with_the_torch_bank(case: Case) -> None:
    values = leaves(case)
    try:
        make_layout(case[0], *case[1], torch.float64, torch.device("cpu"))
    except ValueError:
        reject()  # by its first and last taps, which may be zeros, nothing of the image is read
    result, expected = apply(case, values, native=True), apply(case, values, native=False)
    is_last = case[2] > 1 and values[0].is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if is_last else torch.contiguous_format
    assert all(part.is_contiguous(memory_format=layout) for part in result)
    of_result = directions(result)
    found = *result, *torch.autograd.grad(result, values, of_result)
    wanted = *expected, *torch.autograd.grad(expected, values, of_result)
    for value, other in zip(found, wanted, strict=True):
        # Inputs are about 1; of few of them nothing may be left.
        assert value.shape == other.shape
        assert (value - other).abs().max() <= 1e-12 * max(1.0, float(other.detach().abs().max()))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(cases())
def test_adjoint_identity(arguments: tuple[Any, ...]):
    """Of the image: <g, A x> = <A^T g, x>, by the kernel alone."""
    info, image, colours, is_channels_last = case_of(arguments)
    info = replace(info, has_modulus=False)
    x, weights, colour = tensors(info, image, torch.float64, 2, colours)
    flat = torch.cat([weight.flatten() for weight in weights])
    parts, _ = apply_forward(x, flat, colour, None, info, is_channels_last)
    gradient = directions(parts)
    needed = (True, True, colour is not None, False)
    found = apply_adjoint(gradient, x, flat, colour, None, info, Kept(), needed)
    products = [(part * of_part).sum() for part, of_part in zip(parts, gradient, strict=True)]
    scale = torch.stack([part.norm() * of.norm() for part, of in zip(parts, gradient, strict=True)])
    pairs = [(found.x, x), (found.weights, flat), (found.colour, colour)]
    for of_value, value in pairs:
        if of_value is not None and value is not None:
            assert abs((of_value * value).sum() - sum(products)) <= 1e-12 * scale.sum()


@pytest.mark.parametrize("spec", PUBLISHED)
def test_published_stems(spec: str):
    image = (225, 100)
    info = published_stem(spec, *image).info
    x, weights, colour = tensors(info, image, torch.float32, batch=1)
    with torch.no_grad():
        result, expected = (
            as_list(mixed_packets(x, weights, info, colour, native=native))
            for native in (True, False)
        )
    assert_close(result, expected, 1e-6)


@pytest.mark.parametrize("kind", ["real parts", "both parts", "modulus"])
@pytest.mark.parametrize("saves_memory", [False, True])
def test_any_number_of_threads_gives_the_same_bits(kind: str, saves_memory: bool):
    # More images than groups of images whose gradients are summed apart: two in some.
    info = replace(
        published_stem("resnet34/RwyI_mod", 30, 35).info,
        is_complex=kind != "real parts",
        has_modulus=kind == "modulus",
    )
    x, weights, colour = tensors(info, (30, 35), torch.float32, batch=37)
    assert colour is not None
    values = [value.requires_grad_() for value in (x, *weights, colour)]
    found: list[list[Tensor]] = []
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        result = as_list(
            mixed_packets(x, weights, info, colour, saves_memory=saves_memory, native=True)
        )
        of_values = torch.autograd.grad(result, values, directions(result))
        found.append([*result, *of_values])
    for other in found[1:]:
        assert all(map(torch.equal, found[0], other))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_modulus_is_right_wherever_the_type_holds_it(dtype: torch.dtype):
    """Also where its square is not a number of the type; at 0 its gradient is 0, as the layer's is."""
    info = replace(published_stem("resnet34/RwyI_mod", 40, 40).info, has_modulus=True)
    x, weights, colour = tensors(info, (40, 40), dtype)
    values = [value.requires_grad_() for value in (x, *weights)]
    for size in (0.0, torch.finfo(dtype).tiny * 2**10, torch.finfo(dtype).max * 2**-12):
        found: list[list[Tensor]] = []
        for native in (True, False):
            # So small, or so large, that only a modulus of numbers beside 1 has no fault.
            result = as_list(mixed_packets(size * x, weights, info, colour, native=native))
            gradient = torch.autograd.grad(result[0].sum() / (size or 1), values)
            found.append([*result, *gradient])
        for value, other in zip(*found, strict=True):
            assert value.isfinite().all()
            largest = float(other.detach().abs().max())
            limit = 64 * torch.finfo(dtype).eps * 40 * largest
            assert (value - other).abs().max() <= limit


def test_units_are_kept_or_computed_again():
    """With the same bits."""
    info = replace(published_stem("resnet34/RwyI_mod", 40, 40).info, has_modulus=True)
    x, weights, colour = tensors(info, (40, 40), torch.float32)
    bias = torch.linspace(-1, 1, info.outputs)
    flat = torch.cat([weight.flatten() for weight in weights])
    parts, kept = apply_forward(x, flat, colour, bias, info, True, keeps=True)
    assert kept.units is not None
    needed = (True, True, True, True)
    found = [
        apply_adjoint(directions(parts), x, flat, colour, bias, info, each, needed)
        for each in (kept, Kept(), replace(kept, units=None))
    ]
    for name in ("x", "weights", "colour", "bias"):
        assert all(torch.equal(getattr(found[0], name), getattr(each, name)) for each in found[1:])


def test_gradients_of_any_strides_and_some_of_the_inputs():
    case: Case = (replace(published_stem("alexnet/AwyI_mod", 64, 64).info), (64, 64), 3, True)
    info = case[0]
    x, weights, colour = tensors(info, (64, 64), torch.float64)
    assert colour is not None
    values = [*weights, colour]
    for value in values:
        value.requires_grad_()
    result, expected = (
        as_list(mixed_packets(x, weights, info, colour, native=native)) for native in (True, False)
    )
    # An expanded gradient has strides of 0; the other part is not used.
    found = [
        torch.autograd.grad(parts[1].sum() + parts[0][:, :, 0].sum(), values)
        for parts in (result, expected)
    ]
    assert_close(*found, 1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_types_are_computed_in_float32(dtype: torch.dtype):
    info = published_stem("resnet34/RwyI", 40, 40).info
    x, weights, colour = tensors(info, (40, 40), torch.float32)
    assert colour is not None
    narrow = x.to(dtype)
    result = as_list(mixed_packets(narrow, weights, info, colour, native=True))
    wide = as_list(mixed_packets(narrow.float(), weights, info, colour, native=True))
    for part, other in zip(result, wide, strict=True):
        assert torch.equal(part, other.to(dtype))


def test_what_follows_operations_sees_those_of_torch():
    """A trace or a counter knows nothing of what the kernel writes to memory."""
    info = published_stem("resnet34/RwyI", 40, 40).info
    x, weights, colour = tensors(info, (40, 40), torch.float32, batch=1)

    # Unannotated: what is traced is given stand-ins.
    traced = make_fx(
        lambda image: as_list(mixed_packets(image, weights, info, colour, native=True))
    )(x)
    expected = as_list(mixed_packets(2 * x, weights, info, colour))
    assert_close(traced(2 * x), expected, 1e-5)
    counts: list[int] = []
    for native in (True, False):
        with FlopCounterMode(display=False) as counter:
            mixed_packets(x, weights, info, colour, native=native)
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("part", ["colour", "bias"])
def test_weights_on_another_device_are_never_read(part: str):
    info = published_stem("resnet34/RwyI", 40, 40).info
    x, weights, colour = tensors(info, (40, 40), torch.float32, batch=1)
    inputs: dict[str, Any] = {"colour": colour, "bias": torch.zeros(info.outputs)}
    inputs |= {part: inputs[part].to("meta")}
    outcomes: list[str] = []
    for native in (True, False):
        try:
            result = as_list(mixed_packets(x, weights, info, **inputs, native=native))
            outcomes.append(str([value.device for value in result]))
        except RuntimeError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1], "as torch's operations have it"


def test_a_window_outside_of_the_image_is_refused():
    info = replace(published_stem("resnet34/RwyI", 40, 40).info, start=(0, 41))
    x, weights, colour = tensors(info, (40, 40), torch.float32)
    with pytest.raises(ValueError, match=r"samples 41 to .* are read of 40: none of the image"):
        mixed_packets(x, weights, info, colour, native=True)


def test_packets_are_kept_where_they_are_small():
    kept = {
        spec: make_program(published_stem(spec, 224, 224).info, 224, 224, 3).packet_values * 4
        for spec in PUBLISHED
    }
    assert {spec for spec, size in kept.items() if size > KEPT_BYTES} == {"alexnet/Azh3wyI"}


def test_no_slot_is_computed_that_nobody_takes():
    """AwyI keeps nothing of the quadrant of high vertical and horizontal frequencies."""
    program = make_program(published_stem("alexnet/AwyI", 224, 224).info, 224, 224, 3)
    assert program.slots == 94, "two of each pair of paths that a packet takes"
    assert make_program(published_stem("resnet34/RwyI", 224, 224).info, 224, 224, 3).slots == 16
    info = published_stem("resnet34/RwyI_mod", 224, 224).info
    assert make_program(info, 224, 224, 3).slots == 32, "of either tree across, too"


# The library.


TINY = (
    "".join(
        f'extern "C" void wavetwin_{name}_{kind}() {{}}\n'
        for name in library.FUNCTIONS
        for kind in library.TYPES
    )
    + 'extern "C" const char* wavetwin_bank_features() { return "none"; }\n'
)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a source in the kernel's place that is built at once; return a cache."""
    source = tmp_path / "kernel.cpp"
    source.write_text(TINY)
    monkeypatch.setattr(library, "SOURCES", (source,))
    return tmp_path / "cache"


def test_a_library_is_built_once(tiny: Path, monkeypatch: pytest.MonkeyPatch):
    built = build_library(tiny)
    assert built.record().keys() == {"source", "compiler", "features"}
    assert tiny.stat().st_mode & 0o077 == 0
    identity = json.loads(built.path.with_suffix(".json").read_text())
    assert identity["compiler"] == built.compiler
    before = built.path.stat().st_mtime_ns
    assert build_library(tiny).path == built.path
    assert built.path.stat().st_mtime_ns == before
    # Other flags, and another source, are another library.
    assert build_library(tiny, ["-DOTHER"]).path != built.path
    library.SOURCES[0].write_text(TINY + "// other\n")
    assert build_library(tiny).source != built.source
    # So is one whose header is another; a header that is not listed is not found.
    header = tiny.parent / "tiny.h"
    library.SOURCES[0].write_text(f'#include "{header.name}"\n')
    header.write_text(TINY)
    with pytest.raises(NoLibraryError, match="No such file"):
        build_library(tiny)
    monkeypatch.setattr(library, "SOURCES", (*library.SOURCES, header))
    found = build_library(tiny)
    header.write_text(TINY + "// other\n")
    assert build_library(tiny).path != found.path
    monkeypatch.setattr(library, "_cpu", lambda: "another CPU")
    assert build_library(tiny).path != built.path


@pytest.mark.parametrize("damage", ["library", "document", "none of it"])
def test_a_damaged_library_is_built_anew(tiny: Path, damage: str):
    path = build_library(tiny).path
    content, document = path.read_bytes(), path.with_suffix(".json").read_bytes()
    # As another process would: the library that is loaded here stays whole.
    path.unlink()
    if damage == "library":
        path.write_bytes(content[:-64])
    elif damage == "document":
        path.write_bytes(content)
        path.with_suffix(".json").write_bytes(document[:-10])
    assert build_library(tiny).path == path
    identity = json.loads(path.with_suffix(".json").read_bytes())
    assert identity["sha256"] == library.hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_folder_of_others_is_refused(tiny: Path):
    tiny.mkdir()
    tiny.chmod(0o777)
    with pytest.raises(NoLibraryError, match="others may write to"):
        build_library(tiny)
    assert list(tiny.iterdir()) == []


def test_those_who_build_at_once_build_one(tiny: Path, monkeypatch: pytest.MonkeyPatch):
    """A lock on a file holds for processes and for threads alike."""
    built: list[object] = []
    compile_once = library._compile
    monkeypatch.setattr(library, "_compile", lambda *of: (built.append(of), compile_once(*of))[1])
    with ThreadPoolExecutor(4) as pool:
        found = {each.path for each in pool.map(lambda _: build_library(tiny), range(4))}
    assert len(found) == len(built) == 1
    assert {path.suffix for path in tiny.iterdir()} == {".so", ".json", ".lock"}


def test_a_killed_build_leaves_nothing_for_long(tiny: Path, monkeypatch: pytest.MonkeyPatch):
    """Its folder is removed by who builds next; that of a build that goes on is not."""
    killed: list[Path] = []

    def kill(*arguments: Any, **options: Any) -> None:
        killed.extend(tiny.glob("*.building-*"))
        os._exit(9)

    with monkeypatch.context() as patched:
        patched.setattr(library.subprocess, "run", kill)
        patched.setattr(library, "_compiler_version", lambda command: "a compiler")
        code, _, _ = Copy(lambda: build_library(tiny)).wait()
    assert code == 9
    (left,) = tiny.glob("*.building-*")
    other = tiny / "0123.building-x"
    other.mkdir()
    with (tiny / "0123.lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        build_library(tiny)
        assert not left.exists()
        assert other.exists(), "somebody else is building"
    build_library(tiny, ["-DOTHER"])
    assert not other.exists()


def test_a_library_without_the_functions_is_no_kernel(tiny: Path):
    library.SOURCES[0].write_text('extern "C" void wavetwin_bank_forward_float32() {}\n')
    with pytest.raises(NoLibraryError, match=r"is not the kernel's library: .*undefined symbol"):
        build_library(tiny)


def test_without_a_compiler_torch_computes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(NoLibraryError, match=r"no C[+][+] compiler: no-such-compiler is not there"):
        build_library(tmp_path)


def test_the_compiler_is_named_as_for_make(tiny: Path, monkeypatch: pytest.MonkeyPatch):
    """With arguments, which are another library, or by a path with a space in it."""
    program, *_ = library._find_compiler()
    monkeypatch.setenv("CXX", program)
    plain = build_library(tiny)
    monkeypatch.setenv("CXX", f"{program} -DOTHER='a b'")
    assert library._find_compiler() == [program, "-DOTHER=a b"]
    assert build_library(tiny).path != plain.path
    spaced = tiny / "my tools" / "c++"
    spaced.parent.mkdir()
    spaced.symlink_to(program)
    monkeypatch.setenv("CXX", str(spaced))
    assert library._find_compiler() == [str(spaced)]
    assert build_library(tiny).path.is_file()
    for nothing in (" ", "'", "no-such-compiler -O2"):
        monkeypatch.setenv("CXX", nothing)
        with pytest.raises(NoLibraryError, match="is not there"):
            build_library(tiny)


def test_a_compiler_is_the_same_by_any_name(tmp_path: Path):
    """So that no run is refused for it: GCC begins what it says of itself with what it was called."""
    script = '#!/bin/sh\n[ "$1" = --version ] && echo "${0##*/} (Debian 12.2.0-14) 12.2.0"\n'
    programs = [tmp_path / "c++", tmp_path / "g++-12"]
    for program in programs:
        program.write_text(script)
        program.chmod(0o755)
        assert library._compiler_version([str(program)]) == "GCC (Debian 12.2.0-14) 12.2.0"
    programs[0].write_text("#!/bin/sh\necho Debian clang version 14.0.6\n")
    assert library._compiler_version([str(programs[0])]) == "Debian clang version 14.0.6"


def test_a_compiler_speaks_any_encoding(tiny: Path, monkeypatch: pytest.MonkeyPatch):
    script = tiny.parent / "speaks"
    script.write_text(
        "#!/bin/sh\nprintf 'error: \\351\\n'; printf 'error: \\351\\n' >&2\n[ \"$1\" = --version ]\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("CXX", str(script))
    with pytest.raises(NoLibraryError, match="cannot compile the kernel: error: \ufffd"):
        build_library(tiny)


def test_a_compiler_that_fails_is_quoted(tiny: Path):
    library.SOURCES[0].write_text("no C++ at all")
    with pytest.raises(NoLibraryError, match=r"cannot compile the kernel: .*error"):
        build_library(tiny)


@pytest.mark.slow  # another compilation, and everything several times slower
@pytest.mark.timeout(1800)
def test_addresses_and_undefined_behaviour(tmp_path: Path):
    """All of the above, by a kernel that checks every address and every shift."""
    compiler, *_ = library._find_compiler()
    asan, ubsan = (
        subprocess.run(
            [compiler, f"-print-file-name=lib{name}.so"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("asan", "ubsan")
    )
    code = (
        "import sys, pytest\n"
        "from wavetwin.runtime.bank.native import library\n"
        "library.FLAGS = (*library.FLAGS, '-g', '-O1', '-fsanitize=address,undefined',"
        " '-fno-sanitize-recover=all')\n"
        # Apart from the first test's time.
        "library.find_library()\n"
        "sys.exit(pytest.main(['-q', '-n', '0', '-p', 'no:cacheprovider', *sys.argv[1:], '-k',"
        " 'torch_bank or adjoint or published or threads or strides or modulus or units or max_pool'"
        " ' or native_layers or native_blur or native_wavelet']))"
    )
    layers = ROOT / "tests/runtime/layers"
    names = (
        "test_max_pool.py",
        "test_native_layers.py",
        "test_native_blur.py",
        "test_native_wavelet_pool.py",
    )
    files = Path(__file__), *(layers / name for name in names)
    environment = os.environ | {
        "LD_PRELOAD": f"{asan} {ubsan}",
        "ASAN_OPTIONS": "detect_leaks=0:verify_asan_link_order=0",
        "XDG_CACHE_HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, files)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1700, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "ERROR: AddressSanitizer" not in done.stderr
    assert "runtime error" not in done.stderr


def test_the_kernel_is_of_this_source():
    sources = {source.name: source.read_bytes() for source in library.SOURCES}
    assert find_library().source == library.source_digest(sources)
    assert sources.keys() == {file.name for file in library.SOURCES[0].parent.glob("*.[ch]*")}
    for name in sources:
        assert library.source_digest(sources | {name: b"other"}) != find_library().source
