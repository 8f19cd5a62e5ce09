"""Validate: from the tree to a typed spec, with every fault found."""
