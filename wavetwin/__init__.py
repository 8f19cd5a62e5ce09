"""Compile declarative vision experiments: CNNs and their wavelet twins."""
