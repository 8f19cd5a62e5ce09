"""Define what both halves stand on: graph, plan, operations, packets, wavelets. Standard library only."""
