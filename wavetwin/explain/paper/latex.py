"""Write a report's tables in LaTeX, for the package booktabs; texts of others are escaped."""

from __future__ import annotations

from collections.abc import Sequence

from wavetwin.diagnostics.terminal import printable_lines
from wavetwin.explain.report.page import Section

__all__ = ["as_latex", "escape_latex"]

_MOST_COLUMNS = 4
"""Runs side by side: more would not fit a page."""
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    '"': "''",
    "±": r"$\pm$",
    "\u00d7": r"$\times$",
    **{char: f"\\{char}" for char in "&%$#_{}"},
}
_TABLE = str.maketrans(_ESCAPES)


def escape_latex(text: str) -> str:
    """Return a text as LaTeX prints it: nothing in it is a command, and it stays on one line."""
    return " ".join(text.split()).translate(_TABLE)


def as_latex(sections: Sequence[Section]) -> str:
    r"""Return each section that has rows as `table` environments, and its remarks below.

    Rows and columns are turned: a run is a column, as many as fit, a figure is a row. The text is to be
    included, `\input{tables}`, by a document with `\usepackage{booktabs}`.
    """
    blocks = ["% \\usepackage{booktabs} in the preamble; \\input this file."]
    for section in sections:
        for start in range(0, len(section.rows), _MOST_COLUMNS):
            own = section.rows[start : start + _MOST_COLUMNS]
            last = start + _MOST_COLUMNS >= len(section.rows)
            blocks.append(_table(section, own, section.remarks if last else ()))
    return printable_lines("\n\n".join(blocks) + "\n")


def _table(section: Section, rows: Sequence[Sequence[str]], remarks: Sequence[str]) -> str:
    header, *turned = zip(section.header, *rows, strict=True)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape_latex(section.title)}}}",
        rf"\begin{{tabular}}{{l{'r' * len(rows)}}}",
        r"\toprule",
        _row(["", *header[1:]]),
        r"\midrule",
        *map(_row, turned),
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\footnotesize {escape_latex(remark)}" for remark in remarks),
        r"\end{table}",
    ]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(escape_latex, cells)) + r" \\"
