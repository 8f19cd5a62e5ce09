"""Networks: modules from a graph, and their initial weights."""
