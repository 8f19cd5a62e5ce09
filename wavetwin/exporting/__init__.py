"""Hand a run on: a folder for a hub, or a program that runs without wavetwin."""
