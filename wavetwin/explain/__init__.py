"""Show a person what the two halves know: show, diff, report, study, the index of runs, pictures."""
