"""Drive yaml-language-server as an editor does, over its standard input and output."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from queue import Queue
from typing import Any

PACKAGE = "yaml-language-server@1.25.0"
SECONDS = 60
SETTINGS = {
    "yaml": {
        "validate": True,
        "completion": True,
        "hover": True,
        "schemaStore": {"enable": False, "url": ""},
        "format": {"enable": False},
    }
}


def install(folder: Path) -> Path:
    """Install the server below a folder by npm, and return its program."""
    npm = shutil.which("npm")
    assert npm is not None, "npm is not installed: apt-get install npm"
    done = subprocess.run(
        [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), PACKAGE],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "node_modules/.bin/yaml-language-server"


class Server:
    """A running server; documents are opened by their paths."""

    def __init__(self, program: Path, root: Path) -> None:
        self._process = subprocess.Popen(
            [program, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, cwd=root,
        )  # fmt: skip
        self._number = 0
        self._answers: Queue[dict[str, Any]] = Queue()
        self._found: dict[str, Queue[list[dict[str, Any]]]] = {}
        threading.Thread(target=self._read, daemon=True).start()
        capabilities = {
            "workspace": {"configuration": True, "didChangeConfiguration": {}},
            "textDocument": {
                "completion": {"completionItem": {"documentationFormat": ["markdown"]}},
                "hover": {"contentFormat": ["markdown"]},
                "publishDiagnostics": {},
            },
        }
        self.ask("initialize", processId=None, rootUri=root.as_uri(), capabilities=capabilities)
        self._tell("initialized")
        self._tell("workspace/didChangeConfiguration", settings=SETTINGS)

    def open(self, file: Path, text: str | None = None) -> list[dict[str, Any]]:
        """Open a file, or another text in its place, and return what is wrong with it."""
        uri = file.as_uri()
        self._found.setdefault(uri, Queue())
        shown = file.read_text(encoding="utf-8") if text is None else text
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": shown}
        self._tell("textDocument/didOpen", textDocument=document)
        return self._found[uri].get(timeout=SECONDS)

    def complete(self, file: Path, line: int, column: int) -> dict[str, str]:
        """Return what can stand at a position, counted from 0, each with what is said of it."""
        answer = self.ask(
            "textDocument/completion",
            textDocument={"uri": file.as_uri()},
            position={"line": line, "character": column},
        )
        items = answer["items"] if isinstance(answer, dict) else answer
        return {item["label"]: _text(item.get("documentation")) for item in items}

    def hover(self, file: Path, line: int, column: int) -> str:
        """Return what is said of a position, counted from 0."""
        answer = self.ask(
            "textDocument/hover",
            textDocument={"uri": file.as_uri()},
            position={"line": line, "character": column},
        )
        return "" if answer is None else _text(answer["contents"])

    def ask(self, method: str, **parameters: Any) -> Any:
        """Ask and wait for the answer."""
        self._number += 1
        self._send({"id": self._number, "method": method, "params": parameters})
        while True:
            answer = self._answers.get(timeout=SECONDS)
            if answer["id"] == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def close(self) -> None:
        """End the server."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with suppress(OSError):
                stream.close()

    def _tell(self, method: str, **parameters: Any) -> None:
        self._send({"method": method, "params": parameters})

    def _send(self, message: dict[str, Any]) -> None:
        content = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(content), content))
        self._process.stdin.flush()

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while True:
            length = 0
            while line := stream.readline().strip():
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            if not length:
                return
            self._take(json.loads(stream.read(length)))

    def _take(self, message: dict[str, Any]) -> None:
        match message:
            case {"method": "textDocument/publishDiagnostics", "params": found}:
                self._found.setdefault(found["uri"], Queue()).put(found["diagnostics"])
            case {"method": "workspace/configuration", "id": number, "params": {"items": items}}:
                wanted = [SETTINGS.get(item.get("section", ""), {}) for item in items]
                self._send({"id": number, "result": wanted})
            case {"method": _, "id": number}:
                self._send({"id": number, "result": None})
            case {"id": _}:
                self._answers.put(message)


def _text(contents: Any) -> str:
    return contents.get("value", "") if isinstance(contents, dict) else contents or ""
