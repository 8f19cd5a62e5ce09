"""Render what was compiled to the files of `generated/<name>/`, as bytes.

A pure function: no clock, no host, no absolute path. `build` writes what it returns and
`build --check` compares it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from wavetwin.compiler.compiled import Compiled
from wavetwin.compiler.render.card import card_info
from wavetwin.compiler.render.model_source import write_model
from wavetwin.compiler.render.model_text import WIDTH
from wavetwin.compiler.render.script_source import RUNTIME, import_lines, write_scripts
from wavetwin.compiler.render.spec_yaml import dump_spec
from wavetwin.compiler.render.standalone import standalone_files
from wavetwin.ir.operations import literal
from wavetwin.ir.own_code import FOLDER
from wavetwin.provenance.package import (
    Package,
    digest_of,
    imported_package,
    installed_versions,
    is_package_file,
    sha256_of,
)
from wavetwin.provenance.record import STANDALONE, Provenance

if TYPE_CHECKING:
    from jinja2 import Environment

MANIFEST_VERSION = 1
MANIFEST = "manifest.json"
TEMPLATES = ("model.py", "train.py", "evaluate.py", "slurm.sh", "MODEL.md")

_environments: dict[Path, Environment] = {}


def render(
    compiled: Compiled,
    provenance: Provenance,
    templates: Path | None = None,
    standalone: Package | None = None,
) -> dict[str, bytes]:
    """Return every file of the build by its path in the folder; the manifest comes last.

    Args:
        compiled: the experiment.
        provenance: its inputs and what ties them to a commit.
        templates: folder of the templates; default: the imported package's.
        standalone: the package whose modules are copied beside the scripts; default: none are.
    """
    environment = text_environment(templates or imported_package().templates)
    context = _context(compiled, provenance) | {"standalone": standalone is not None}
    files = {
        name: environment.get_template(f"{name}.j2").render(context).encode() for name in TEMPLATES
    }
    heading = (
        f"# {comment(compiled.name)} with every value filled in, by wavetwin "
        f"{comment(context['wavetwin_version'])}. It is a spec, too.\n"
    )
    files["spec.lock.yaml"] = (heading + dump_spec(compiled.resolved)).encode()
    files["graph.json"] = _json(compiled.graph.to_json())
    files["plan.json"] = _json(compiled.plan.to_json())
    files |= provenance.patches
    files |= {f"{FOLDER}/{name}": text for name, text in sorted(compiled.own_code.files.items())}
    if standalone is not None:
        files |= standalone_files(files, standalone)
    files[MANIFEST] = _json(_manifest(compiled, provenance, files))
    return files


@lru_cache(maxsize=None, typed=True)
def comment(text: object) -> str:
    """Return a text as part of one line: what is no plain character becomes an escape.

    Only ASCII and the characters of Western European languages stay, so that no text can end its line,
    hide or reorder what follows, or look like another.
    """
    return "".join(_plain(char) for char in str(text)).strip()


def shell_word(text: object) -> str:
    """Return a text as one word of a POSIX shell."""
    return "'" + comment(text).replace("'", "'\"'\"'") + "'"


@lru_cache(maxsize=None, typed=True)
def table_cell(text: object) -> str:
    """Return a text for a cell of a Markdown table, without any markup of its own."""
    escaped = re.sub(r"[\\`*\[\]<>|$~&]", r"\\\g<0>", comment(text))
    # Inside a word an underscore is only a letter.
    return re.sub(r"\b_|_\b|(?<!\w)_|_(?!\w)", r"\\_", escaped)


def _plain(char: str) -> str:
    number = ord(char)
    if 0x20 <= number < 0x7F or (0xC0 <= number <= 0xFF and number not in (0xD7, 0xF7)):
        return char
    if char in "\n\r\t":
        return " "
    return ascii(char)[1:-1]


def text_environment(templates: Path) -> Environment:
    """Return what fills templates of plain text: nothing is escaped but by the filters."""
    if templates not in _environments:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        from wavetwin.compiler.render.template_cache import TemplateCache, templates_folder

        settings: dict[str, Any] = {"autoescape": False, "keep_trailing_newline": True}
        folder = templates_folder()
        environment = Environment(
            loader=FileSystemLoader(templates),
            undefined=StrictUndefined,
            auto_reload=False,
            bytecode_cache=None if folder is None else TemplateCache(folder, settings),
            **settings,
        )
        environment.filters.update(  # pyright: ignore[reportUnknownMemberType]
            comment=comment, py=literal, sh=shell_word, cell=table_cell
        )
        _environments[templates] = environment
    return _environments[templates]


def _context(compiled: Compiled, provenance: Provenance) -> dict[str, Any]:
    source = write_model(compiled.optimised_graph, compiled.plan)
    return {
        "name": compiled.name,
        "summary": compiled.spec.summary or "an experiment without a summary",
        "digest": compiled.digest,
        "model_digest": compiled.model_digest,
        "training_digest": compiled.training_digest,
        "run_id": compiled.training_digest[:8],
        "seed": compiled.plan.seed,
        "commit": provenance.commit,
        "dirty": provenance.dirty,
        "spec_path": compiled.spec_path,
        "wavetwin_version": provenance.source("wavetwin").version,
        "plan": compiled.plan,
        "graph": compiled.graph,
        "source": source,
        "import_layers": import_lines(f"{RUNTIME}.layers", source.layers),
        "import_lines": import_lines,
        "script": write_scripts(compiled.plan, compiled.graph),
        "card": card_info(compiled, provenance),
    }


def _manifest(
    compiled: Compiled, provenance: Provenance, files: Mapping[str, bytes]
) -> dict[str, Any]:
    sha256 = {name: sha256_of(files[name]) for name in sorted(files)}
    head = manifest_head(compiled, provenance)
    copied = {name: digest for name, digest in sha256.items() if is_package_file(name)}
    if copied:
        # What the scripts import: its commit and version are those of the package it is a part of.
        wavetwin = provenance.source("wavetwin").to_json()
        kept = {key: wavetwin[key] for key in ("commit", "version", "dirty") if key in wavetwin}
        head["sources"].append(
            {"role": STANDALONE, "kind": STANDALONE, **kept, "package_digest": digest_of(copied)}
        )
    return {**head, "files": sha256}


def manifest_head(compiled: Compiled, provenance: Provenance) -> dict[str, Any]:
    """Return what a manifest says besides its files: all that these follow from."""
    packages = dict.fromkeys((*compiled.plan.packages, *compiled.own_code.packages))
    own = [name for name in packages if name not in provenance.versions]
    return {
        "wavetwin_manifest": MANIFEST_VERSION,
        "name": compiled.name,
        "spec": compiled.spec_path,
        "overrides": list(compiled.overrides),
        "digest": compiled.digest,
        "training_digest": compiled.training_digest,
        "model_digest": compiled.model_digest,
        "git": provenance.uses_git,
        "commit": provenance.commit,
        "dirty": provenance.dirty,
        "passes": [record.name for record in compiled.optimised_graph.passes],
        "sources": [source.to_json() for source in provenance.sources],
        "versions": {
            "wavetwin": provenance.source("wavetwin").version,
            **provenance.versions,
            **(installed_versions(own) if own else {}),
        },
        "inputs": {role: dict(paths) for role, paths in provenance.inputs.items()},
        **_weights(compiled),
    }


def _weights(compiled: Compiled) -> dict[str, Any]:
    """Return the file that the training starts from: its SHA-256 ties the build to it, not a commit."""
    weights = compiled.plan.weights
    if weights is None:
        return {}
    return {"weights": {"file": weights.file, "sha256": weights.sha256}}


def _json(document: dict[str, Any]) -> bytes:
    """Return JSON that a reader can look through: what fits on a line stands on one."""
    return (_json_text(document, "") + "\n").encode()


# One encoder for all values: json.dumps makes a new one for every call with options.
_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False).encode


def _json_text(value: Any, margin: str) -> str:
    if type(value) is int:
        return str(value)  # as the encoder does, which would make another one for each number
    if not isinstance(value, dict | list):
        return _encode(value)
    inner = margin + "  "
    if isinstance(value, dict):
        first, last = "{}"
        parts = [
            f"{_encode(key)}: {_json_text(item, inner)}"
            for key, item in cast("dict[str, Any]", value).items()
        ]
    else:
        first, last = "[]"
        items = cast("list[Any]", value)
        if all(isinstance(item, int | float) for item in items):
            return _encode(items)
        parts = [_json_text(item, inner) for item in items]
    compact = f"{first}{', '.join(parts)}{last}"
    if len(margin) + len(compact) <= WIDTH and "\n" not in compact:
        return compact
    lines = f",\n{inner}".join(parts)
    return f"{first}\n{inner}{lines}\n{margin}{last}"
