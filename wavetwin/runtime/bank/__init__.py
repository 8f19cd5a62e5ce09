"""Compute mixed dual-tree packets, only those that are kept and only where they are kept.

An image's packets are separable filterings. Each pass is cut in blocks in which it is a stride-1
correlation of many channels (`bands`); the sums and differences that make complex packets of the
trees, the selection and the mixing are one matrix after them (`slots`).
"""

from wavetwin.runtime.bank.info import BankInfo
from wavetwin.runtime.bank.mixed import mixed_packets

__all__ = ["BankInfo", "mixed_packets"]
