"""The runtime: builds, trains and evaluates what the compiler planned; never reads YAML."""
