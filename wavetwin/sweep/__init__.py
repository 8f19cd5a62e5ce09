"""Train the members of a sweep, and show how they did.

Stands above compiler and runtime: members are ordinary builds and ordinary runs.
"""
