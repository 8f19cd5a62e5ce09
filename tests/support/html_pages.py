"""HTML pages read back: well-formed, self-contained, tables as lists of cells."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "hr", "input", "col"}


class Page(HTMLParser):
    """A page: its texts, ids, links and tables; a tag that is not closed in turn is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.headings: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.text = ""
        self._caption: str | None = None
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append(tag)
        if "id" in values:
            self.ids.append(values["id"] or "")
        for name in ("href", "src"):
            if name in values:
                self.links.append(values[name] or "")
        assert not any(name.startswith("on") for name in values), values
        if tag in VOID:
            return
        self.open.append(tag)
        if tag == "caption":
            self._caption = ""
        elif re.fullmatch("h[1-6]", tag):
            self.headings.append("")
        elif self._rows is not None and tag == "tr":
            self._rows.append([])
        elif self._rows and tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"closed, but never opened: {tag}"
        assert self.open[-1] == tag, f"{tag} is closed inside of {self.open[-1]}"
        self.open.pop()
        if tag == "caption":
            assert self._caption is not None
            assert self._caption not in self.tables, f"two tables: {self._caption}"
            self.tables[self._caption] = []
        elif tag == "table":
            self._caption = None

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text += data
        if "caption" in self.open and self._caption is not None:
            self._caption += data
        elif self._rows and self._rows[-1] and {"td", "th"} & set(self.open):
            self._rows[-1][-1] += data
        elif self.open and re.fullmatch("h[1-6]", self.open[-1]):
            self.headings[-1] += data

    @property
    def _rows(self) -> list[list[str]] | None:
        return None if self._caption is None else self.tables.get(self._caption)

    def check(self) -> None:
        """Nothing is loaded or run, every id is there once, and every link leads somewhere."""
        assert not {"script", "iframe", "object", "embed", "form"} & set(self.tags)
        assert len(self.ids) == len(set(self.ids))
        for link in self.links:
            inside = link.startswith("#") and link[1:] in self.ids
            assert inside or link.startswith("data:"), link

    def cells(self, caption: str) -> dict[tuple[str, str], str]:
        """The cells of a table by the heads of their row and column."""
        (_, *columns), *rows = self.tables[caption]
        return {
            (name, column): cell
            for name, *cells in rows
            for column, cell in zip(columns, cells, strict=True)
        }
