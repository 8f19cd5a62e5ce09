"""Hook into mkdocs: add the reference pages, and read pages as other renderers of Markdown do."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
import reference

FENCE = re.compile(r"^(```\w+) [^\n]*$", re.MULTILINE)
"""A fence with more than its language, which the tests read."""
OUTSIDE = re.compile(r"\[([^\]]*)\]\(\.\./[^)]*\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the code's tables."""
    for path, text in reference.pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Leave the language alone behind a fence, and the text alone of a link that leads out of docs/."""
    return OUTSIDE.sub(r"\1", FENCE.sub(r"\1", markdown))
