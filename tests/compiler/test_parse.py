"""Texts to trees: scalars, places, limits, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavetwin.compiler import parse
from wavetwin.compiler.override import parse_override
from wavetwin.compiler.parse import ParsedSource, parse_bytes, parse_text
from wavetwin.compiler.scalars import resolve_scalar
from wavetwin.compiler.source import Source
from wavetwin.compiler.structure import to_plain
from wavetwin.diagnostics import Place, render_text


def parsed(text: str) -> ParsedSource:
    return parse_text(Source("spec.yaml", text))


def codes(result: ParsedSource) -> list[str]:
    return [each.code for each in result.diagnostics]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        (".5", 0.5),
        ("5.", 5.0),
        ("+12", 12),
        ("-0", 0),
        ("010", 10),
        ("0o17", 15),
        ("0xFf", 255),
        ("-.inf", -math.inf),
        ("+.INF", math.inf),
        ("~", None),
        ("", None),
        ("null", None),
        ("NULL", None),
        ("True", True),
        ("FALSE", False),
        # YAML 1.1 reads these otherwise
        ("1_000", "1_000"),
        ("2020-01-01", "2020-01-01"),
        ("yes", "yes"),
        ("off", "off"),
        ("0b11", "0b11"),
        ("1:30", "1:30"),
        ("tRUE", "tRUE"),
        ("nULL", "nULL"),
        ("-0x1", "-0x1"),
        ("e5", "e5"),
        (".", "."),
        ("-", "-"),
        ("1e", "1e"),
        ("\u0661", "\u0661"),  # a digit, but not of ASCII
    ],
)
def test_scalars_follow_the_core_schema(text: str, value: object):
    resolved = resolve_scalar(text)
    assert resolved == value
    assert type(resolved) is type(value)


def test_nan_is_recognised():
    value = resolve_scalar(".nan")
    assert isinstance(value, float)
    assert math.isnan(value)


@given(st.integers())
def test_integers_survive(value: int):
    assert resolve_scalar(str(value)) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_survive(value: float):
    assert resolve_scalar(repr(value)) == value


def test_quoted_scalars_are_text():
    result = parsed("""a: "1"\nb: '~'\nc: |\n  1\nd: !!str 1\n""")
    assert result.tree is not None
    assert to_plain(result.tree) == {"a": "1", "b": "~", "c": "1\n", "d": "1"}


def test_places_of_keys_and_values():
    result = parsed("# first\r\na:\r\n  b: {c: [10, 'x'], d: }\r\n")
    assert result.tree is not None
    b = result.tree.value["a"].value["b"]
    assert b.key_place == Place("spec.yaml", 3, 3, 1)
    assert b.place == Place("spec.yaml", 3, 6, 19)
    assert b.value["c"].place == Place("spec.yaml", 3, 10, 9)
    assert b.value["c"].value[0].place == Place("spec.yaml", 3, 11, 2)
    assert b.value["c"].value[1].place == Place("spec.yaml", 3, 15, 3)
    assert b.value["d"].value is None


def test_columns_count_characters_whatever_the_line_holds():
    text = "\ufeffa: {caf\u00e9: \U0001f600, \u2028b: 2, \u0085c: 3}\n"
    result = parse_bytes(text.encode(), "spec.yaml")
    assert result.tree is not None
    line = result.source.line_text(1)
    for key, node in result.tree.value["a"].value.items():
        assert node.key_place is not None
        start = node.key_place.column - 1
        assert line[start : start + len(key.strip())] == key.strip()
        assert node.place.line == 1


def test_aliases_share_values_and_keep_their_own_place():
    result = parsed("a: &x {b: 1}\nc: *x\n")
    assert result.tree is not None
    c = result.tree.value["c"]
    assert to_plain(c) == {"b": 1}
    assert c.place == Place("spec.yaml", 2, 4, 2)
    assert c.value["b"].place.line == 1


def test_every_duplicate_key_is_reported_with_the_first():
    result = parsed("a: 1\nb: {c: 1, c: 2, c: 3}\n'a': 4\n")
    assert codes(result) == ["duplicate-key"] * 3
    assert [each.place.line for each in result.diagnostics if each.place] == [2, 2, 3]
    assert result.diagnostics[2].origins[0].place == Place("spec.yaml", 1, 1, 1)
    assert to_plain(result.tree) == {"a": 1, "b": {"c": 1}}


def test_a_syntax_error_hides_only_what_follows():
    result = parsed("a: 1\nb:\n  c: 2\n  d: [1, 2\ne: 3\n")
    assert codes(result) == ["syntax-error"]
    assert result.reliable_lines == 3
    assert result.tree is not None
    assert result.tree.value["b"].value["c"].value == 2


def test_yaml_1_2_directive_is_accepted():
    result = parsed("%YAML 1.2\n---\na: 1\n...\n")
    assert codes(result) == []
    assert to_plain(result.tree) == {"a": 1}


def test_a_percent_sign_in_a_value_is_no_directive():
    assert codes(parsed("# %YAML 1.1\na: 50%\nb: |\n  %TAG x\n")) == []


@pytest.mark.parametrize("tag", ["!", "!x", "!!str", "!<tag:a,2000:b>", "!e!x"])
@pytest.mark.parametrize("value", ["a", "[a]", "{a: b}", "&x a"])
def test_every_tag_is_refused(tag: str, value: str):
    assert codes(parsed(f"a: {tag} {value}\n")) == ["tag"]


def test_limits_hold_before_anything_is_composed(monkeypatch: pytest.MonkeyPatch):
    levels = [f"- &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else '1'}]" for n in range(40)]
    assert codes(parsed("\n".join(levels))) == ["too-many-values"]
    assert codes(parsed("a: " + "[" * 200_000)) == ["too-deep"]
    assert codes(parsed("a: " + "{b: " * 40)) == ["too-deep"]
    assert codes(parsed("? " * 40 + "a")) == ["non-scalar-key", "too-deep"]
    nested = "- &a " + "[" * 20 + "]" * 20 + "\n- " + "[" * 20 + "*a" + "]" * 20
    assert codes(parsed(nested)) == ["too-deep"]
    monkeypatch.setattr(parse, "MAX_CHARACTERS", 10)
    assert codes(parsed("a: 1234567")) == []
    assert codes(parsed("a: 12345678")) == ["file-too-large"]


def test_numbers_have_a_length():
    assert codes(parsed("a: " + "1" * 64)) == []
    for text in ("1" * 5000, "0x" + "f" * 5000, "-" + "1" * 70, "1." + "0" * 70, "1e" + "9" * 70):
        assert codes(parsed(f"a: {text}")) == ["number-too-long"]
    assert codes(parsed("a: " + "x" * 5000)) == []


@pytest.mark.parametrize(
    "data", [b"\xff\xfea\x00", b"\xfe\xff\x00a", b"a: \xc3(", "a: é".encode("latin-1")]
)
def test_other_encodings_are_refused(data: bytes):
    assert codes(parse_bytes(data, "spec.yaml")) == ["not-utf-8"]


def test_an_escape_beyond_unicode_is_a_syntax_error():
    assert codes(parsed('a: 1\nb: "\\UFFFFFFFF"\n')) == ["syntax-error"]


@given(st.text(alphabet=st.sampled_from("ab:-[]{},&*!#|>'\"%@`? \n\t\r\\xU0~.=<\u2028\x85\ufeff")))
def test_any_text_gives_a_tree_or_a_diagnostic(text: str):
    result = parsed(text)
    assert result.tree is not None or result.diagnostics
    for each in result.diagnostics:
        assert each.place is not None
        assert 1 <= each.place.line <= result.source.num_lines
        assert each.place.column <= len(result.source.line_text(each.place.line)) + 1
    assert render_text(result.diagnostics, colour=True).count("\n") >= 2 * len(result.diagnostics)


@given(st.binary())
def test_any_bytes_give_a_tree_or_a_diagnostic(data: bytes):
    result = parse_bytes(data, "spec.yaml")
    assert result.tree is not None or result.diagnostics


def test_shipped_specs_parse_without_a_fault():
    specs = Path(__file__).parents[2] / "specs"
    for path in specs.rglob("*.yaml"):
        assert codes(parse_bytes(path.read_bytes(), path.name)) == []


def test_an_override_is_a_layer_like_a_file():
    result = parse_override("stem.wavelet.keep=[{band: 1, channels: 6}]", 2)
    assert codes(result) == []
    assert result.tree is not None
    assert to_plain(result.tree) == {"stem": {"wavelet": {"keep": [{"band": 1, "channels": 6}]}}}
    keep = result.tree.value["stem"].value["wavelet"].value["keep"]
    assert keep.key_place == Place("--set[2]", 1, 14, 4)
    assert keep.place == Place("--set[2]", 1, 19, 24)
    assert keep.value[0].value["channels"].place == Place("--set[2]", 1, 40, 1)


@pytest.mark.parametrize(
    ("text", "column"),
    [("a", 1), ("=1", 1), ("a..b=1", 3), ("a.0=1", 3), ("a b=1", 1), ("a=", 1), ("extends=b", 1)],
)
def test_bad_overrides_are_refused(text: str, column: int):
    result = parse_override(text, 1)
    assert codes(result) == ["bad-override"]
    assert result.diagnostics[0].place is not None
    assert result.diagnostics[0].place.column == column
    assert result.tree is None


def test_the_value_of_an_override_is_yaml():
    assert codes(parse_override("a=[1", 1)) == ["syntax-error"]
    assert codes(parse_override("a=!!int 1", 1)) == ["tag"]
    result = parse_override("training.optimizer.lr=1e-4", 1)
    assert to_plain(result.tree) == {"training": {"optimizer": {"lr": 1e-4}}}
    assert to_plain(parse_override("summary=a=b", 1).tree) == {"summary": "a=b"}


@given(st.text(alphabet=st.sampled_from("ab.=0:-[]{}&*!#'\" \n\t\\~")))
def test_any_override_gives_a_layer_or_a_diagnostic(text: str):
    result = parse_override(text, 1)
    assert result.tree is not None or result.diagnostics
