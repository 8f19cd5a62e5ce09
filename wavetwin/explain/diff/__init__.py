"""Diff: what two experiments do not share, from the declaration to the scores; torch-free.

`difference.compare` is the way in; `text`, `document`, `fragment` and `several` show its answer.
"""
