"""Write a strided filter bank along one axis as a stride-1 correlation of blocks.

`step * per_block` consecutive samples are one block. The `per_block` outputs that begin in a block
depend on that block and the next ones only, always by the same numbers: a correlation with as many
input channels as a block has samples, and `per_block * filters` output channels. Convolution kernels
are at their best there, with neither the one input channel and the stride of the bank as it is
written, nor the zeros of a Toeplitz matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class AxisBlocks:
    """One axis: which samples are read, and the block kernels."""

    first: int
    """Index of the first sample of block 0; negative where zeros are padded."""
    block: int
    """Samples in a block."""
    per_block: int
    """Outputs that begin in a block."""
    num_blocks: int
    """Blocks that outputs begin in."""
    kernels: Tensor
    """(banks, per_block, filters, block, reach): sample by sample what each output takes."""

    @property
    def reach(self) -> int:
        """Blocks that an output depends on."""
        return self.kernels.shape[-1]

    @property
    def total_blocks(self) -> int:
        """Blocks that are read."""
        return self.num_blocks + self.reach - 1

    @property
    def is_dense(self) -> bool:
        """Whether one block holds everything: the kernel is then a Toeplitz matrix."""
        return self.num_blocks == 1 and self.reach == 1


def axis_blocks(filters: Tensor, start: int, step: int, outputs: int, per_block: int) -> AxisBlocks:
    """Cut an axis in blocks.

    Args:
        filters: (banks, filters, taps), float64; zeros that all filters begin or end with cost nothing.
        start: input index of the first tap of output 0.
        step: samples between outputs.
        outputs: number of outputs.
        per_block: outputs that begin in a block; all of them: one block, the dense matrix.
    """
    used = filters.abs().amax(dim=(0, 1)).nonzero().flatten()
    before, last = int(used[0]), int(used[-1])
    filters, start = filters[..., before : last + 1], start + before
    banks, num_filters, taps = filters.shape
    per_block = min(per_block, outputs)
    num_blocks = -(-outputs // per_block)
    if num_blocks == 1:
        lead, block, reach = 0, step * (per_block - 1) + taps, 1
    else:
        block = step * per_block
        # A block begins at sample 0, so that the image itself is not moved to be cut.
        lead = start % block
        reach = -(-(lead + step * (per_block - 1) + taps) // block)
    kernels = filters.new_zeros(banks, per_block, num_filters, reach * block)
    for position in range(per_block):
        first_tap = lead + step * position
        kernels[:, position, :, first_tap : first_tap + taps] = filters
    kernels = kernels.unflatten(-1, (reach, block)).transpose(-1, -2)
    return AxisBlocks(start - lead, block, per_block, num_blocks, kernels)
