"""Study first layers: what max pooling, the modulus and the filters do to images.

`discrepancy` and `stability` are those of seed 003, `kernels` and `sparse` of seed 001; systems.md
part 5 defines all four, and docs/studies.md says how to read them.
"""
