"""Open a page in headless Chromium and say what is wrong with it.

    python benchmarks/browser_check.py runs/demo/report.html [--pictures DIR]

At 400 and 1400 pixels and on paper: no console message of an error, no request, nothing wider than
the window, no table cut on paper, a contrast of 4.5 or more for every text, headings in order, no id
twice, a name for every picture. Exit code 0 if all is well, 1 if not, 2 without a Chromium. It is
driven through its DevTools pipe: nothing but Python is needed beside it.
"""

from __future__ import annotations

import argparse
import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTHS = (400, 1400)
PAPER = 703
"""CSS pixels between the margins of an A4 page."""
CONTRAST = 4.5
# Chromium takes its DevTools messages at descriptor 3 and gives them at 4.
START = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); "
    "os.execv(sys.argv[3], sys.argv[3:])"
)
CHECK = r"""
(() => {
  const found = [];
  for (const folded of document.querySelectorAll('details')) folded.open = true;
  const parse = (text) => {
    const numbers = (text.match(/[\d.]+/g) || []).map(Number);
    return numbers.length < 3 ? null : [...numbers.slice(0, 3), numbers[3] ?? 1];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  const luminance = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((channel) => {
      const share = channel / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (first, second) => {
    const [light, dark] = [luminance(first), luminance(second)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };
  const behind = (element) => {
    if (!element) return [255, 255, 255, 1];
    const own = parse(getComputedStyle(element).backgroundColor);
    if (own && own[3] === 1) return own;
    const below = behind(element.parentElement);
    return own && own[3] > 0 ? [...over(own, below), 1] : below;
  };
  const behindDrawn = (text) => {
    const style = getComputedStyle(text);
    if (style.stroke !== 'none' && style.paintOrder.startsWith('stroke')) return parse(style.stroke);
    const box = text.getBoundingClientRect();
    const x = (box.left + box.right) / 2, y = (box.top + box.bottom) / 2;
    let colour = behind(text.ownerSVGElement.parentElement);
    for (const shape of text.ownerSVGElement.querySelectorAll('rect, path, polygon, circle')) {
      if (!(shape.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING)) continue;
      const fill = parse(getComputedStyle(shape).fill), place = shape.getBoundingClientRect();
      const holds = place.left <= x && x <= place.right && place.top <= y && y <= place.bottom;
      if (fill && holds) colour = [...over(fill, colour), 1];
    }
    return colour;
  };
  let texts = 0, least = Infinity;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || element.closest('title, desc, script, style')) continue;
    if (!element.checkVisibility || !element.checkVisibility()) continue;
    const drawn = element.ownerSVGElement !== undefined && element.ownerSVGElement !== null;
    const colour = parse(drawn ? getComputedStyle(element).fill : getComputedStyle(element).color);
    const below = drawn ? behindDrawn(element.closest('text')) : behind(element);
    const contrast = ratio([...over(colour, below), 1], below);
    texts += 1;
    least = Math.min(least, contrast);
    if (contrast < LIMIT) found.push(
      `contrast ${contrast.toFixed(2)} of '${node.textContent.trim().slice(0, 40)}'`);
  }
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) {
    found.push(`the page is ${wide} pixels wide, the window ${innerWidth}`);
    for (const element of document.querySelectorAll('body *')) {
      if (element.getBoundingClientRect().right > innerWidth + 1 && !element.closest('.scroll'))
        found.push(`too wide: <${element.tagName.toLowerCase()} class="${element.className}">`);
    }
  }
  if (PRINTED) for (const box of document.querySelectorAll('.scroll'))
    if (box.scrollWidth > box.clientWidth + 1)
      found.push(`cut on paper: ${box.getAttribute('aria-label')}`);
  const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
  for (const id of new Set(ids.filter((id, place) => ids.indexOf(id) !== place)))
    found.push(`id twice: ${id}`);
  let level = 0;
  for (const heading of document.querySelectorAll('h1, h2, h3, h4, h5, h6')) {
    const own = Number(heading.tagName[1]);
    if (own > level + 1) found.push(`heading of level ${own} after ${level}: ${heading.textContent}`);
    level = own;
  }
  for (const picture of document.querySelectorAll('img:not([alt]), svg:not([aria-label])'))
    if (picture.getAttribute('aria-hidden') !== 'true') found.push('a picture without a name');
  for (const table of document.querySelectorAll('table'))
    if (!table.caption || table.querySelector('th:not([scope])'))
      found.push(`a table without a caption or scopes: ${table.textContent.slice(0, 40)}`);
  return JSON.stringify({found, texts, least, height: document.documentElement.scrollHeight});
})()
"""


class Chromium:
    """A headless browser with one page, spoken to by the DevTools protocol."""

    def __init__(self, program: str, profile: str) -> None:
        ours_in, theirs_out = (_high(end) for end in os.pipe())
        theirs_in, ours_out = (_high(end) for end in os.pipe())
        parts = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        parts += ["--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]
        start = [sys.executable, "-c", START, str(theirs_in), str(theirs_out), *parts]
        self.process = subprocess.Popen(
            start, pass_fds=(theirs_in, theirs_out), stderr=subprocess.DEVNULL
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.read, self.write = os.fdopen(ours_in, "rb"), os.fdopen(ours_out, "wb")
        self.buffer, self.number, self.session = b"", 0, None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and return its answer; events are kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session is not None:
            message["sessionId"] = self.session
        self.write.write(json.dumps(message).encode() + b"\0")
        self.write.flush()
        while True:
            answer = self.message()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def message(self) -> dict[str, Any]:
        """Return the next message."""
        while b"\0" not in self.buffer:
            more = self.read.read1(1 << 16)
            if not more:
                raise RuntimeError("the browser has ended")
            self.buffer += more
        text, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(text)

    def open(self, page: Path | str) -> None:
        """Load a file or an address and wait until all of it is there."""
        self.events.clear()
        url = page if isinstance(page, str) else page.absolute().as_uri()
        self.call("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self.message())

    def size(self, width: int, height: int = 900) -> None:
        """Set the window; pages are told that it is a phone's or a desk's."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def check(self, *, printed: bool = False) -> dict[str, Any]:
        """Return what is found in the page as it is."""
        script = CHECK.replace("LIMIT", str(CONTRAST)).replace("PRINTED", json.dumps(printed))
        result = self.call("Runtime.evaluate", expression=script)
        if "exceptionDetails" in result:
            raise RuntimeError(json.dumps(result["exceptionDetails"]))
        return json.loads(result["result"]["value"])

    def picture(self, file: Path, width: int, height: int) -> None:
        """Write a screenshot of the top of the page."""
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        answer = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(answer["data"]))

    def pdf(self) -> bytes:
        """Return the page on A4 paper."""
        answer = self.call(
            "Page.printToPDF", paperWidth=8.27, paperHeight=11.69, preferCSSPageSize=True
        )
        return base64.b64decode(answer["data"])

    def close(self) -> None:
        """End it."""
        self.session = None
        self.call("Browser.close")
        self.process.wait(30)
        self.read.close()
        self.write.close()


def _high(descriptor: int) -> int:
    """Return a copy above those that the browser's are put at."""
    copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return copy


def faults_of_events(events: list[dict[str, Any]], own: str) -> list[str]:
    """Return errors that the console shows, and requests for what does not begin with `own`."""
    found: list[str] = []
    for event in events:
        method, values = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            url = values["request"]["url"]
            if not url.startswith((own, "data:")):
                found.append(f"request: {url}")
        elif method == "Log.entryAdded" and values["entry"]["level"] in ("error", "warning"):
            found.append(f"console: {values['entry']['text']}")
        elif method == "Runtime.exceptionThrown":
            found.append(f"exception: {values['exceptionDetails']['text']}")
        elif method == "Runtime.consoleAPICalled" and values["type"] in ("error", "warning"):
            found.append(f"console: {values['args']}")
    return found


def check_page(browser: Chromium, page: Path, pictures: Path | None) -> list[str]:
    """Check one page at every width and on paper; print what was seen, return what is wrong."""
    faults: list[str] = []
    for width in WIDTHS:
        browser.size(width)
        browser.open(page)
        if pictures is not None:
            browser.picture(pictures / f"{page.stem}-{width}.png", width, 3 * width + 600)
        seen = browser.check()
        found = [*faults_of_events(browser.events, page.absolute().as_uri()), *seen["found"]]
        faults += [f"{width} pixels: {fault}" for fault in found]
        print(
            f"{page.name}, {width} pixels: {seen['texts']} texts, least contrast "
            f"{seen['least']:.2f}, {seen['height']} pixels high, {len(found)} faults"
        )
    browser.size(PAPER)
    browser.call("Emulation.setEmulatedMedia", media="print")
    printed = browser.check(printed=True)["found"]
    browser.call("Emulation.setEmulatedMedia", media="")
    pdf = browser.pdf()
    if not pdf.startswith(b"%PDF"):
        printed.append("it does not print")
    print(f"{page.name}, paper: {len(pdf) // 1024} KiB of PDF, {len(printed)} faults")
    if pictures is not None:
        (pictures / f"{page.stem}.pdf").write_bytes(pdf)
    return faults + [f"on paper: {fault}" for fault in printed]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("pages", nargs="+", type=Path, metavar="FILE.html")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="screenshots and PDF")
    options = parser.parse_args()
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        print(f"there is no Chromium on PATH: none of {', '.join(NAMES)}", file=sys.stderr)
        return 2
    if options.pictures is not None:
        options.pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        browser = Chromium(program, profile)
        try:
            faults = [
                f"{page}: {fault}"
                for page in options.pages
                for fault in check_page(browser, page, options.pictures)
            ]
        finally:
            browser.close()
    print("\n".join(faults) or "no fault found")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
