"""Filter by wavelets as functions: boundary extension, two-channel banks, the dual tree, lattices.

Below the layers and `wavetwin.transforms`, which are made of it. Operations are torch's own, so that
derivatives of any order, traces and `torch.func` follow them: a derivative written by hand that crops
a padding where it should fold it is wrong, and has been published.
"""
