"""Train models: the loop, its state, its records and what a run folder holds."""
