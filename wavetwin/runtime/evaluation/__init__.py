"""Evaluate the entries of a spec's evaluation suite: scores and intervals."""
