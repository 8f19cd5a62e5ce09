"""Evaluation: the entries of a spec's evaluation suite, their scores and intervals."""
