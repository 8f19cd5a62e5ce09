"""A user's folders, and users who have none."""

from __future__ import annotations

import pwd
from pathlib import Path

import pytest

from wavetwin.files.home import cache_folder, config_folder, expand_home
from wavetwin.runtime.data.root import root_locations
from wavetwin.runtime.process.scripts import runs_folder


@pytest.fixture
def no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whom neither the environment nor the system's list of users gives a home."""

    def unknown(number: int) -> None:
        raise KeyError(number)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


def test_the_cache_is_where_the_xdg_specification_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/of/somebody")
    assert cache_folder({}) == Path("/home/of/somebody/.cache/wavetwin")
    assert cache_folder({"XDG_CACHE_HOME": "/scratch"}) == Path("/scratch/wavetwin")
    relative = {"XDG_CACHE_HOME": "scratch"}
    assert cache_folder(relative) == Path("/home/of/somebody/.cache/wavetwin")
    assert config_folder({"XDG_CONFIG_HOME": "/etc/x"}) == Path("/etc/x/wavetwin")
    for given in ({}, {"XDG_CONFIG_HOME": ""}, {"XDG_CONFIG_HOME": "here"}):
        assert config_folder(given) == Path("/home/of/somebody/.config/wavetwin")


@pytest.mark.usefixtures("no_home")
def test_without_a_home_nothing_is_kept_and_paths_stay_as_written(tmp_path: Path) -> None:
    assert cache_folder() is None
    assert expand_home("~/data") == Path("~/data")
    assert runs_folder(tmp_path, Path("~/runs")) == Path("~/runs").absolute()
    named, *_ = root_locations(Path("~nobody-of-this-name/data"), {})
    assert named.root == Path("~nobody-of-this-name/data")
