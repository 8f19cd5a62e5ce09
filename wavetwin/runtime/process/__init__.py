"""Run a process: arguments, devices, workers, random streams, progress and JSON files."""
