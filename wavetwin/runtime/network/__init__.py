"""Make networks: modules from a graph, and their initial weights."""
