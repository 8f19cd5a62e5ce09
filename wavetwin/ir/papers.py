"""Cite the papers that statements about networks are from."""

from __future__ import annotations

SHIFT_PAPER = "arXiv:2209.11740"
"""Leterme, Polisano, Perrier, Alahari: On the Shift Invariance of Max Pooling Feature Maps."""
TWIN_PAPER = "arXiv:2212.00394"
"""The same: From CNNs to Shift-Invariant Twin Models Based on Complex Wavelets."""
BLUR_PAPER = "arXiv:1904.11486"
"""Zhang: Making Convolutional Networks Shift-Invariant Again."""
ADAPTIVE_PAPER = "Zou et al., BMVC 2020"
"""Delving Deeper into Anti-aliasing in ConvNets."""
PACKET_PAPER = "doi:10.1109/TSP.2007.916129"
"""Bayram and Selesnick: On the Dual-Tree Complex Wavelet Packet and M-Band Transforms."""
SCATTERING_PAPER = "arXiv:1903.03137"
"""Cotter and Kingsbury: A Learnable ScatterNet: Locally Invariant Convolutional Layers."""
