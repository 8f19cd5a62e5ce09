"""Texts to trees: scalars, places, limits, and what is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.paths import ROOT
from wavetwin.compiler.parse import tree as parse
from wavetwin.compiler.parse.nodes import to_plain
from wavetwin.compiler.parse.override import parse_override
from wavetwin.compiler.parse.scalars import resolve_scalar
from wavetwin.compiler.parse.source import Source
from wavetwin.compiler.parse.tree import ParsedSource, parse_bytes, parse_text
from wavetwin.diagnostics import Location, render_text


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
    assert b.key_location == Location("spec.yaml", 3, 3, 1)
    assert b.location == Location("spec.yaml", 3, 6, 19)
    assert b.value["c"].location == Location("spec.yaml", 3, 10, 9)
    assert b.value["c"].value[0].location == Location("spec.yaml", 3, 11, 2)
    assert b.value["c"].value[1].location == Location("spec.yaml", 3, 15, 3)
    assert b.value["d"].value is None


def test_columns_count_characters_whatever_the_line_holds():
    text = "\ufeffa: {caf\u00e9: \U0001f600, \u2028b: 2, \u0085c: 3}\n"
    result = parse_bytes(text.encode(), "spec.yaml")
    assert result.tree is not None
    line = result.source.line_text(1)
    for key, node in result.tree.value["a"].value.items():
        assert node.key_location is not None
        start = node.key_location.column - 1
        assert line[start : start + len(key.strip())] == key.strip()
        assert node.location.line == 1


def test_aliases_share_values_and_keep_their_own_place():
    result = parsed("a: &x {b: 1}\nc: *x\n")
    assert result.tree is not None
    c = result.tree.value["c"]
    assert to_plain(c) == {"b": 1}
    assert c.location == Location("spec.yaml", 2, 4, 2)
    assert c.value["b"].location.line == 1


def test_every_duplicate_key_is_reported_with_the_first():
    result = parsed("a: 1\nb: {c: 1, c: 2, c: 3}\n'a': 4\n")
    assert codes(result) == ["duplicate-key"] * 3
    assert [each.location.line for each in result.diagnostics if each.location] == [2, 2, 3]
    assert result.diagnostics[2].origins[0].location == Location("spec.yaml", 1, 1, 1)
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
        assert each.location is not None
        assert 1 <= each.location.line <= result.source.num_lines
        assert each.location.column <= len(result.source.line_text(each.location.line)) + 1
    assert render_text(result.diagnostics, colour=True).count("\n") >= 2 * len(result.diagnostics)


@given(st.binary())
def test_any_bytes_give_a_tree_or_a_diagnostic(data: bytes):
    result = parse_bytes(data, "spec.yaml")
    assert result.tree is not None or result.diagnostics


def test_shipped_specs_parse_without_a_fault():
    specs = ROOT / "specs"
    for path in specs.rglob("*.yaml"):
        assert codes(parse_bytes(path.read_bytes(), path.name)) == []


def test_an_override_is_a_layer_like_a_file():
    result = parse_override("stem.wavelet.keep=[{band: 1, channels: 6}]", 2)
    assert codes(result) == []
    assert result.tree is not None
    assert to_plain(result.tree) == {"stem": {"wavelet": {"keep": [{"band": 1, "channels": 6}]}}}
    keep = result.tree.value["stem"].value["wavelet"].value["keep"]
    assert keep.key_location == Location("--set[2]", 1, 14, 4)
    assert keep.location == Location("--set[2]", 1, 19, 24)
    assert keep.value[0].value["channels"].location == Location("--set[2]", 1, 40, 1)


@pytest.mark.parametrize(
    ("text", "column"),
    [("a", 1), ("=1", 1), ("a..b=1", 3), ("a.0=1", 3), ("a b=1", 1), ("a=", 1), ("extends=b", 1)],
)
def test_bad_overrides_are_refused(text: str, column: int):
    result = parse_override(text, 1)
    assert codes(result) == ["bad-override"]
    assert result.diagnostics[0].location is not None
    assert result.diagnostics[0].location.column == column
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


HEAD = "wavetwin: 1\nbackbone: {arch: resnet18}\n"


@pytest.mark.parametrize(
    ("text", "line", "column", "headline", "help"),
    [
        ("training:\n  epochs 3\n  seed: 1\n", 4, 3, "this line has no ':'", "write epochs: 3"),
        ("training:\n  seed: 1\n  epochs 3\n", 5, 3, "this line has no ':'", "write epochs: 3"),
        ("training\n  epochs: 3\n", 3, 1, "this line has no ':'", "write training:"),
        ("summary a b\ntags: []\n", 3, 1, "this line has no ':'", "write summary: a b"),
        ("training:\n  # why\n  epochs 3 # c\n\n  seed: 1\n", 5, 3, "this line has no ':'", "write epochs: 3"),
        ("evaluation:\n  - mode one_crop\n    split: test\n", 4, 5, "this line has no ':'", "write mode: one_crop"),
        ("training:\n  epochs: 3\n   seed: 1\n", 5, 4, "this line is indented deeper", "start it in column 3"),
        ("evaluation:\n  - mode: shifts\n      metric: flip_rate\n", 5, 7, "this line is indented deeper", "start it in column 5"),
        ("training:\n  epochs: 3 # c\n    seed: 1\n", 5, 5, "this line is indented deeper", "start it in column 3"),
        ("summary: a: b\n", 3, 11, "a ':' that starts a value", 'quote the text: write "a: b"'),
        ("training:\n\tepochs: 3\n", 4, 1, "a tab stands where spaces indent", "indent with spaces"),
        ("training:\n  seed: 1\n \tepochs: 3\n", 5, 2, "a tab stands where spaces indent", "indent with spaces"),
        ("tags:\n-\t- a\n", 4, 2, "a tab stands where spaces indent", "indent with spaces"),
        ("training: {seed: 1}# c\n", 3, 20, "a '#' follows without a space", "put a space before the comment"),
        ("tags: [a,\nb]\n", 4, 1, "a continued line is not indented", "indent it deeper than the field that it belongs to"),
        ('summary: "a\nb"\n', 4, 1, "a continued line is not indented", "indent it deeper than the field that it belongs to"),
    ],
)  # fmt: skip
def test_a_syntax_error_is_told_at_its_line(
    text: str, line: int, column: int, headline: str, help: str
):
    result = parsed(HEAD + text)
    assert codes(result) == ["syntax-error"]
    (error,) = result.diagnostics
    assert error.headline.startswith(headline)
    assert error.help == help
    assert error.location is not None
    assert (error.location.line, error.location.column) == (line, column)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 3\t\n", {"a": 3}),
        ("a: 3\t# short\n", {"a": 3}),
        ("a:\t3\nb:\t\n - c\t\n", {"a": 3, "b": ["c"]}),
        ("a: b\tc\n", {"a": "b\tc"}),
        ("a: |\t# text\n  b\n", {"a": "b\n"}),
        ("a: >-\t\n  b\t\n  c\n", {"a": "b\t c"}),
        ("a: {b: 1}\t\nc\t: 2\n", {"a": {"b": 1}, "c": 2}),
        ("a: 1\n\t\nb: 2\n \t# c\n", {"a": 1, "b": 2}),
        ("a: b\n \tc\n", {"a": "b c"}),
        ("a: [\n\t b\t,\n\tc]\n", None),
        ("a: [\n \tb\t,\n \tc]\n", {"a": ["b", "c"]}),
    ],
)
def test_tabs_may_stand_where_nothing_is_indented(text: str, value: object):
    result = parsed(text)
    if value is None:
        assert codes(result) == ["syntax-error"]
    else:
        assert codes(result) == []
        assert to_plain(result.tree) == value


def test_a_closing_bracket_may_stand_in_any_column():
    result = parsed("a:\n  b: [\n    1,\n  ]\n  c: {\nd: 1}\n")
    assert codes(result) == ["syntax-error"]
    result = parsed("a:\n  b: [\n    1,\n  ]\n  c: {\n    d: 1\n}\n")
    assert codes(result) == []
    assert to_plain(result.tree) == {"a": {"b": [1], "c": {"d": 1}}}


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("a: 1\n%YAML 1.2\n---\n", "second-document", 2),
        ("a: 1\n...\n%YAML 1.2\n---\nb: 1\n", "second-document", 3),
        ("a: 1\n...\n# c\n%TAG ! x\n---\nb: 1\n", "second-document", 4),
        ("a: 1\n---\n%YAML 1.2\n", "second-document", 2),
        ("%YAML 1.2\n%YAML 1.2\n---\na: 1\n", "directive", 2),
        ("%YAML 1.2 x\n---\na: 1\n", "directive", 1),
        ("%FOO\n---\na: 1\n", "directive", 1),
        ("%YAML 1.2\na: 1\n", "syntax-error", 1),
        ("%YAML 1.2\n", "syntax-error", 1),
        ("...\n", "empty-document", 1),
        ("# nothing\n...\n", "empty-document", 1),
        (": 1\n", "non-scalar-key", 1),
        ("a: {: 1}\n", "non-scalar-key", 1),
        ("a: {b\n  : 1}\n", "key-and-colon-apart", 2),
        ("a: {b\n  c: 1}\n", "key-and-colon-apart", 2),
        ('a: ["b":c]\n', "key-and-colon-apart", 1),
        ("a: {b: 1 c: 2}\n", "syntax-error", 1),
        ("a: {b: 1\n  c: 2}\n", "syntax-error", 2),
        ("a: [b: 1 c: 2]\n", "syntax-error", 1),
    ],
)
def test_rare_forms_are_refused_by_name(text: str, code: str, line: int):
    result = parsed(text)
    assert codes(result) == [code]
    assert result.diagnostics[0].location is not None
    assert result.diagnostics[0].location.line == line


def test_an_anchor_on_a_key_can_be_used():
    result = parsed("&s summary: text\n&n 5: &t 1\ntags: [*s, *n, *t]\n")
    assert codes(result) == []
    assert to_plain(result.tree) == {"summary": "text", "5": 1, "tags": ["summary", 5, 1]}
    assert codes(parsed("a: {*b : 1}\n")) == ["non-scalar-key"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\n<<<<<<< HEAD\nb: 2\n=======\nb: 3\n>>>>>>> other\n", 2),
        ("a:\n<<<<<<< HEAD\n  b: 2\n||||||| base\n  b: 1\n=======\n  b: 3\n>>>>>>> other\n", 2),
        ("a: [1,\n<<<<<<< HEAD\n  2,\n=======\n  3,\n>>>>>>> other\n 4]\n", 2),
        ("a: 1\n=======\nb: 2\n", 2),
        ("a: 1\nb: 2\n>>>>>>> other\n", 3),
        ("<<<<<<< HEAD\r\na: 1\r\n=======\r\na: 2\r\n>>>>>>> other\r\n", 1),
    ],
)
def test_an_unresolved_merge_is_told(text: str, line: int):
    result = parsed(text)
    assert codes(result) == ["merge-conflict"]
    assert result.diagnostics[0].location is not None
    assert result.diagnostics[0].location.line == line
    assert result.reliable_lines == line - 1


def test_what_looks_like_a_mark_of_a_merge_is_text():
    assert codes(parsed("a: |\n  <<<<<<< HEAD\n  =======\n  >>>>>>> x\nb: '======='\n")) == []
    assert codes(parsed("a: [1\nb: 2\nc: 3\n")) == ["syntax-error"]


@pytest.mark.parametrize(
    ("text", "headline", "help"),
    [
        ("a=#5", "there is no value", "write null to remove what is inherited; quote a '#'"),
        ("a=  # 5", "there is no value", "write null to remove what is inherited; quote a '#'"),
        ("a=run #2", "what follows ' #' is a comment", "write a='run #2'"),
        ("a=it's #2", "what follows ' #' is a comment", "write a='it''s #2'"),
        ("a=[b, c] # d", "what follows ' #' is a comment", "remove it, or quote it"),
        ("a=|\t# d\n b", "what follows ' #' is a comment", "remove it, or quote it"),
    ],
)
def test_an_override_has_no_comment(text: str, headline: str, help: str):
    result = parse_override(text, 1)
    assert codes(result) == ["bad-override"]
    assert result.diagnostics[0].headline.startswith(headline)
    assert result.diagnostics[0].help == help
    assert result.tree is None
    if help.startswith("write a="):
        mended = parse_override(help.removeprefix("write "), 1)
        assert to_plain(mended.tree) == {"a": text.removeprefix("a=")}


def test_a_number_sign_within_a_value_is_no_comment():
    for value in ("run#2", "'run #2'", '"a # b"', "[a#b, 'c # d']"):
        assert codes(parse_override(f"a={value}", 1)) == []


def test_aliases_that_are_too_many_before_a_syntax_error() -> None:
    """Found by benchmarks/fuzz.py: what was open was closed while its error was being told."""
    rows = ["- &a [1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    rows += [
        f"- &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in zip("abcd", "bcde", strict=True)
    ]
    text = "tags:\n" + "".join(f"  {row}\n" for row in [*rows, "- &f [*e, *e0x *e, *e]"])
    found = parsed(text).diagnostics
    assert found
    assert {each.code for each in found} <= {
        "syntax-error",
        "too-many-aliases",
        "too-many-values",
        "undefined-alias",
    }
