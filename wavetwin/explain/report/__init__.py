"""Report on several runs: tables as Markdown, and everything in one offline HTML file."""

from __future__ import annotations

from wavetwin.explain.report.first_layer import PacketWeights
from wavetwin.explain.report.html_report import CompilerParts
from wavetwin.explain.report.write import ReportOptions, report, write_report

__all__ = ["CompilerParts", "PacketWeights", "ReportOptions", "report", "write_report"]
