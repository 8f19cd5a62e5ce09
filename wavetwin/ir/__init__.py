"""What both halves stand on: graph, plan, operations, packets and wavelets. Standard library only."""
