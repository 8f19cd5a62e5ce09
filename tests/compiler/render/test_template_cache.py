"""Code of templates is kept from one command to the next, and made again where it is not as it was."""

from pathlib import Path

import jinja2
import pytest

from wavetwin.compiler.render import files
from wavetwin.compiler.render.template_cache import templates_folder


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Names of the templates that jinja2 compiles, with a cache folder of the test's own."""
    names: list[str] = []
    compile_template = jinja2.Environment.compile

    def count(self: jinja2.Environment, source: str, name: str, filename: str) -> object:
        names.append(name)
        return compile_template(self, source, name, filename)

    monkeypatch.setattr(jinja2.Environment, "compile", count)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(files, "_environments", {})
    return names


def fill(templates: Path, text: str | None = None) -> str:
    """Fill a template as a new command does."""
    files._environments.clear()
    templates.mkdir(exist_ok=True)
    if text is not None:
        (templates / "a.j2").write_text(text, encoding="utf-8")
    return files.text_environment(templates).get_template("a.j2").render(x="two words")


def test_a_template_is_compiled_once(compiled: list[str], tmp_path: Path) -> None:
    assert fill(tmp_path / "t", "{{ x | sh }}\n") == "'two words'\n"
    assert fill(tmp_path / "t") == "'two words'\n"
    assert compiled == ["a.j2"]


def test_another_text_is_compiled(compiled: list[str], tmp_path: Path) -> None:
    for text in ("{{ x }}", "{{ x }}!", "{{ x }}"):
        assert fill(tmp_path / "t", text) == text.replace("{{ x }}", "two words")
    assert compiled == ["a.j2", "a.j2"]


@pytest.mark.parametrize("damage", [b"", b"\n", b"no code", None])
def test_a_damaged_file_is_made_again(
    compiled: list[str], tmp_path: Path, damage: bytes | None
) -> None:
    fill(tmp_path / "t", "{{ x }}")
    folder = templates_folder()
    assert folder is not None
    (kept,) = folder.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-1] if damage is None else damage)
    assert fill(tmp_path / "t") == "two words"
    assert kept.read_bytes() == whole
    assert compiled == ["a.j2", "a.j2"]


def test_code_is_taken_from_a_folder_of_the_users_alone(
    compiled: list[str], tmp_path: Path
) -> None:
    fill(tmp_path / "t", "{{ x }}")
    folder = templates_folder()
    assert folder is not None
    (kept,) = folder.iterdir()
    folder.chmod(0o770)
    assert fill(tmp_path / "t") == "two words"
    assert compiled == ["a.j2", "a.j2"]
    kept.unlink()
    assert fill(tmp_path / "t") == "two words"
    assert list(folder.iterdir()) == []
    folder.chmod(0o700)
    for _ in range(2):
        assert fill(tmp_path / "t") == "two words"
    assert compiled == ["a.j2"] * 4


def test_a_folder_that_takes_no_file_costs_time_alone(compiled: list[str], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder", encoding="utf-8")
    assert fill(tmp_path / "t", "{{ x }}") == fill(tmp_path / "t") == "two words"
    assert compiled == ["a.j2", "a.j2"]


def test_a_user_without_a_home_gets_the_same(
    compiled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wavetwin.compiler.render.template_cache.cache_folder", lambda: None)
    assert fill(tmp_path / "t", "{{ x }}") == fill(tmp_path / "t") == "two words"
    assert compiled == ["a.j2", "a.j2"]
