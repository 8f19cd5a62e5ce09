"""A report of several runs: tables and curves, as Markdown and as one offline HTML file."""

from __future__ import annotations

from wavetwin.runtime.report.write import ReportOptions, report, write_report

__all__ = ["ReportOptions", "report", "write_report"]
