"""Render the files of a built folder from graph and plan."""
