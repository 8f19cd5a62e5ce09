"""The documentation site: made strictly, and opened in a real browser."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.paths import ROOT

SITE = ROOT / "build/site"
SAID_ELSEWHERE = ("a picture without a name", "a table without", "id twice", "heading of level")
"""Of the theme's own marks and of plain Markdown: not what is asked here."""
TYPED = """
(async () => {
  document.querySelector('[data-md-toggle=search]').checked = true;
  const field = document.querySelector('[data-md-component=search-query]');
  field.focus(); field.value = 'warmup_epochs'; field.dispatchEvent(new Event('input', {bubbles: true}));
  field.dispatchEvent(new KeyboardEvent('keyup', {bubbles: true}));
  for (let wait = 0; wait < 100; wait += 1) {
    const found = document.querySelectorAll('.md-search-result__item');
    if (found.length) return found.length;
    await new Promise((done) => setTimeout(done, 100));
  }
  return 0;
})()
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Make the site and serve it."""
    shutil.rmtree(SITE, ignore_errors=True)
    done = subprocess.run(
        ["make", "docs", f"VENV={sys.prefix}"],
        cwd=ROOT,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout
    assert "WARNING  -" not in done.stdout
    handler = functools.partial(Quiet, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    spec = importlib.util.spec_from_file_location("browser", ROOT / "benchmarks/browser_check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    program = next((found for name in module.NAMES if (found := shutil.which(name))), None)
    assert program is not None, f"there is no Chromium on PATH: none of {', '.join(module.NAMES)}"
    with tempfile.TemporaryDirectory() as profile:
        opened = module.Chromium(program, profile)
        yield module, opened
        opened.close()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_page_at_two_widths(address: str, browser: Any) -> None:
    """No console error, no request to elsewhere, no overflow, a contrast of 4.5."""
    module, opened = browser
    pages = sorted(SITE.rglob("*.html"))
    assert len(pages) > 35
    faults: list[str] = []
    for page in pages:
        if page.name == "404.html":  # its links are absolute: made for a server's root
            continue
        name = page.relative_to(SITE).as_posix()
        for width in (400, 1400):
            opened.size(width)
            opened.open(address + name)
            seen = opened.check()
            assert seen["texts"] > 20
            found = [*module.faults_of_events(opened.events, address), *seen["found"]]
            faults += [
                f"{name}, {width}: {each}" for each in found if not each.startswith(SAID_ELSEWHERE)
            ]
    assert faults == []


@pytest.mark.slow
def test_the_search_finds_a_field(address: str, browser: Any) -> None:
    _, opened = browser
    opened.size(1400)
    opened.open(f"{address}index.html")
    answer = opened.call("Runtime.evaluate", expression=TYPED, awaitPromise=True)
    assert answer["result"]["value"] > 0, answer


@pytest.mark.slow
def test_nothing_is_named_that_lies_elsewhere(address: str) -> None:
    """Links lead to papers; scripts, styles, fonts and pictures are the site's own."""
    for page in SITE.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for tag in ("<script", "<link", "<img"):
            for part in text.split(tag)[1:]:
                own = part.partition(">")[0]
                assert "://" not in own or 'rel="canonical"' in own, f"{page}: {tag}{own}"


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    named = [line.rpartition(": ")[2] for line in text.splitlines() if line.endswith(".md")]
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert len(named) == len(set(named))
    made = {name for name in named if name.startswith("reference/")}
    assert pages == set(named) - made


def test_pages_are_plain_markdown() -> None:
    """Nothing that mkdocs and its extensions alone read; links lead to files that are there."""
    own = re.compile(r"^(?:!!!|\?\?\?|:::|=== ).*|\{:? ?[.#][\w-]+.*\}$", re.MULTILINE)
    link = re.compile(r"\]\((?!https?://|#)([^)#\s]+)(?:#[^)]*)?\)")
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        assert own.findall(text) == [], page
        links = link.findall(re.sub(r"`[^`]*`", "", text))
        assert [each for each in links if not (page.parent / each).exists()] == [], page
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 120
