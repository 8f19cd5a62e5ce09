"""Render a built folder's files again as they were built, for the difference of what was edited.

`python -m wavetwin.commands.originals FOLDER` prints JSON: each file whose bytes are those that the manifest
names, in base64. A process of its own (`edits.find_originals`), because a run imports nothing of the
compiler; where the compiler is another one than built the folder, fewer files come back.
"""

from __future__ import annotations

import base64
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from wavetwin.diagnostics.terminal import hand_over
from wavetwin.files.json_text import parse_json
from wavetwin.provenance.package import sha256_of

__all__ = ["render_originals"]


def render_originals(folder: Path) -> dict[str, bytes]:
    """Return the files that a build of the folder's resolved spec writes as the manifest has them.

    Raises:
        CompileError: the resolved spec was edited, and is at fault.
    """
    from wavetwin.compiler.compiled import compile_spec
    from wavetwin.compiler.render.files import render
    from wavetwin.provenance.record import recorded_provenance

    lock = folder / "spec.lock.yaml"
    manifest: dict[str, Any] = parse_json((folder / "manifest.json").read_bytes())
    compiled = compile_spec(lock, (), folder, optimise=bool(manifest.get("passes", True)))
    loaded = replace(compiled.loaded, display_path=manifest["spec"])
    compiled = replace(compiled, loaded=loaded)
    provenance = recorded_provenance(manifest, folder, compiled.files, compiled.project)
    return {
        name: content
        for name, content in render(compiled, provenance).items()
        if sha256_of(content) == manifest["files"].get(name)
    }


if __name__ == "__main__":
    rendered = render_originals(Path(sys.argv[1]))
    encoded = {name: base64.b64encode(content).decode() for name, content in rendered.items()}
    hand_over(json.dumps(encoded))
