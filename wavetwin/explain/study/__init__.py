"""Study first layers: what max pooling, the modulus and the filters do to images.

`discrepancy` and `stability` are figures of arXiv:2209.11740's poster, `kernels` and `sparse` of that of
"Sparsifying Convolutional Layers with Dual-Tree Wavelet Packets"; docs/studies.md defines all four.
"""
