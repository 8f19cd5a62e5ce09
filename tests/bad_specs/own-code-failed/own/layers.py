from torch import nn

from .helpers import split


class Split(nn.Module):
    def __init__(self, parts: int):
        super().__init__()
        self.parts = parts

    def forward(self, x):
        return split(x, self.parts)
