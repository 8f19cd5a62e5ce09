"""Slurm: what `slurm.sh` of a built folder calls; `__main__` has the command line."""
