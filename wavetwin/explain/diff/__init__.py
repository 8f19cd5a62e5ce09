"""Compare two experiments, from the declaration to the scores, without torch.

`difference.compare` is the way in; `text`, `document`, `fragment` and `several` show its answer.
"""
