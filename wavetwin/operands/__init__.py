"""Operands: what `wavetwin diff` compares, read from whatever the user names; torch-free."""

from __future__ import annotations

from wavetwin.operands.find import OperandReader
from wavetwin.operands.operand import Operand
from wavetwin.operands.weights_file import WeightsFile, read_header

__all__ = ["Operand", "OperandReader", "WeightsFile", "read_header"]
