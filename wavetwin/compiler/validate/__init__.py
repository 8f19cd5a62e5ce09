"""Validate the tree: make a typed spec of it, with every fault found."""
