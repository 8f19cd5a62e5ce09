"""A report of several runs: one table and the curves, as Markdown and as one offline HTML file."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavetwin.runtime.errors import RunError
from wavetwin.runtime.json_files import read_json
from wavetwin.runtime.records import read_lines

__all__ = ["report", "summarise_scores", "write_report"]

_WIDTH, _HEIGHT, _MARGIN = 360, 180, 34
_COLOURS = ("#1b6ca8", "#c8553d", "#3c7d3e", "#7a4fa3", "#8a6d1d", "#2a8c8c", "#a83279", "#555555")
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem}"
    "table{border-collapse:collapse}th,td{padding:.3rem .7rem;border-bottom:1px solid #ccc;"
    "text-align:right}th:first-child,td:first-child{text-align:left}svg{margin:0 1rem 1rem 0}"
)


@dataclass(frozen=True)
class _Run:
    """What the report reads of one run folder."""

    label: str
    manifest: dict[str, Any]
    scores: list[dict[str, Any]]
    epochs: list[dict[str, Any]]


def report(run_folders: Sequence[Path]) -> str:
    """Return the report as Markdown; the same run folders give the same text.

    Raises:
        RunError: a folder is not a run, or a file in it is damaged.
    """
    return _markdown([_read_run(folder) for folder in run_folders])


def write_report(run_folders: Sequence[Path], output: Path) -> str:
    """Write the report as one HTML file and as Markdown beside it; return the Markdown.

    Raises:
        RunError: a folder is not a run, or a file in it is damaged.
    """
    runs = [_read_run(folder) for folder in run_folders]
    text = _markdown(runs)
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        output.write_text(_page(runs), encoding="utf-8")
        output.with_suffix(".md").write_text(text, encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunError(
            f"{output} cannot be written: {reason}", "name another file with -o"
        ) from error
    return text


def summarise_scores(scores: dict[str, Any]) -> str:
    """Return the scores of one entry on one line."""
    words: list[str] = []
    for name, value in scores.items():
        label = name.replace("_", " ")
        if isinstance(value, float):
            words.append(f"{label} {value:.4f}")
        elif isinstance(value, int):
            words.append(f"{label} {value}")
        elif isinstance(value, dict):
            words.append(
                f"{label} " + " ".join(f"{key}: {item:.4f}" for key, item in value.items())
            )
        elif value and isinstance(value[0], float):
            words.append(f"{label} " + " ".join(f"{item:.4f}" for item in value))
    return ", ".join(words)


def _markdown(runs: list[_Run]) -> str:
    header, rows = _table(runs)
    lines = ["# Runs", "", _markdown_row(header)]
    lines.append(_markdown_row(["---"] + ["---:"] * (len(header) - 1)))
    lines += [_markdown_row(row) for row in rows]
    lines += ["", *(f"- {note}" for note in _notes(runs))]
    return "\n".join(lines) + "\n"


def _read_run(folder: Path) -> _Run:
    if not (folder / "manifest.json").is_file():
        raise RunError(f"{folder} is not a run: it has no manifest.json")
    manifest = read_json(folder / "manifest.json")
    if manifest.get("wavetwin_run") != 1:
        raise RunError(
            f"{folder} is not a run of this version of wavetwin",
            "name a folder below runs/, such as runs/<name>/<run>",
        )
    file = folder / "scores.json"
    scores = read_json(file)["scores"] if file.is_file() else []
    lines = [line for line in read_lines(folder / "metrics.jsonl") if line["kind"] == "epoch"]
    return _Run(f"{manifest['name']} ({manifest['run']})", manifest, scores, lines)


def _table(runs: list[_Run]) -> tuple[list[str], list[list[str]]]:
    """Return the header and a row a run; a column of scores only where some run has it."""
    columns: dict[str, list[str]] = {}
    for number, run in enumerate(runs):
        for name, value in _figures(run).items():
            columns.setdefault(name, [""] * len(runs))[number] = value
    fixed = ["parameters", "MACs", "epochs", "training time"]
    order = [name for name in columns if name not in fixed] + fixed
    rows = [
        [run.label, *(columns[name][number] for name in order)] for number, run in enumerate(runs)
    ]
    return ["run", *order], rows


def _figures(run: _Run) -> dict[str, str]:
    figures: dict[str, str] = {}
    for record in run.scores:
        entry, scores = record["entry"], record["scores"]
        split = entry.get("split", "test")
        suffix = (f", {split}" if split != "test" else "") + (
            "" if entry["normalise"] else ", not normalised"
        )
        if entry["mode"] in ("one_crop", "ten_crops"):
            crops = "" if entry["mode"] == "one_crop" else ", ten crops"
            figures[f"top-1 error{crops}{suffix}"] = f"{scores['top1_error']:.2%}"
            figures[f"top-5 error{crops}{suffix}"] = f"{scores['top5_error']:.2%}"
        elif "mean_flip_rate" in scores:
            name = f"mean flip rate, {_shift_words(entry)}{suffix}"
            figures[name] = f"{scores['mean_flip_rate']:.2%}"
        elif "kl_divergence" in scores:
            values = scores["kl_divergence"]
            last = values[-1][-1] if isinstance(values[-1], list) else values[-1]
            figures[f"KL at the largest shift, {_shift_words(entry)}{suffix}"] = f"{last:.4f}"
    manifest = run.manifest
    figures["parameters"] = f"{sum(manifest['parameters'].values()):,}"
    figures["MACs"] = f"{manifest['macs']:,}"
    figures["epochs"] = str(run.epochs[-1]["epoch"]) if run.epochs else "0"
    figures["training time"] = _duration(manifest["training_seconds"])
    return figures


def _shift_words(entry: dict[str, Any]) -> str:
    divide = entry.get("pixel_divide", 1)
    unit = f" by 1/{divide} px" if divide != 1 else ""
    return f"{entry['direction']} to {entry['max_shift']} px{unit}"


def _notes(runs: list[_Run]) -> list[str]:
    """Return a line a run: where it is from and what marks it."""
    notes: list[str] = []
    for run in runs:
        manifest = run.manifest
        words = [
            f"{run.label}: commit {manifest['commit'] or 'none'}",
            f"digest {manifest['digest']}",
        ]
        if manifest["dirty"]:
            words.append("built from uncommitted changes")
        if manifest["drift"]:
            words.append("modified after the build: " + ", ".join(manifest["drift"]))
        if manifest["status"] != "finished":
            words.append(f"not finished ({manifest['status']})")
        if run.epochs and any(record["epochs"] != run.epochs[-1]["epoch"] for record in run.scores):
            words.append("some scores are of earlier weights")
        notes.append("; ".join(words))
    return notes


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _page(runs: list[_Run]) -> str:
    header, rows = _table(runs)

    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells) + "</tr>"

    curves = "".join(
        _curves(title, runs, section, name)
        for title, section, name in (
            ("training loss", "train", "loss"),
            ("training error", "train", "top1_error"),
            ("validation error", "validation", "top1_error"),
        )
    )
    legend = "".join(
        f'<li style="color:{_COLOURS[i % len(_COLOURS)]}">{html.escape(note)}</li>'
        for i, note in enumerate(_notes(runs))
    )
    body = "\n".join(row(cells, "td") for cells in rows)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Runs</title>'
        f"<style>{_STYLE}</style></head><body>\n<h1>Runs</h1>\n<table>\n{row(header, 'th')}\n"
        f"{body}\n</table>\n<h2>Curves</h2>\n{curves}\n<ul>{legend}</ul>\n</body></html>\n"
    )


def _curves(title: str, runs: list[_Run], section: str, name: str) -> str:
    """Return one plot over the epochs as inline SVG, or nothing where no run has the values."""
    series = [
        [
            (float(line["epoch"]), float(line[section][name]))
            for line in run.epochs
            if line[section] is not None
        ]
        for run in runs
    ]
    points = [point for line in series for point in line]
    if not points:
        return ""
    last, top = max(x for x, _ in points), max(y for _, y in points) or 1.0

    def place(x: float, y: float) -> str:
        across = _MARGIN + (x - 1) / max(1, last - 1) * (_WIDTH - 2 * _MARGIN)
        return f"{across:.1f},{_HEIGHT - _MARGIN - y / top * (_HEIGHT - 2 * _MARGIN):.1f}"

    lines = "".join(
        f'<polyline fill="none" stroke="{_COLOURS[i % len(_COLOURS)]}" stroke-width="1.5" '
        f'points="{" ".join(place(x, y) for x, y in line)}"/>'
        for i, line in enumerate(series)
    )
    base, right = _HEIGHT - _MARGIN, _WIDTH - _MARGIN
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" font-size="11">'
        f'<text x="{_MARGIN}" y="16">{html.escape(title)}</text>'
        f'<path d="M{_MARGIN},{_MARGIN} V{base} H{right}" fill="none" stroke="#888"/>'
        f'<text x="2" y="{_MARGIN + 4}">{top:.3g}</text><text x="2" y="{base}">0</text>'
        f'<text x="{right - 24}" y="{base + 16}">{last:.0f} epochs</text>{lines}</svg>'
    )
