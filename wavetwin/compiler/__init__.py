"""Compile spec text to module graph, training plan and run scripts; never import torch."""
