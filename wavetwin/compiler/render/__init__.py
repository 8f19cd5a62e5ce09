"""Render: from graph and plan to the files of a built folder."""
