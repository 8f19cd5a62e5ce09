import timm
from own.layers import Double
