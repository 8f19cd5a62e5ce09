"""Run a built folder on Slurm, for its `slurm.sh`; `__main__` has the command line."""
