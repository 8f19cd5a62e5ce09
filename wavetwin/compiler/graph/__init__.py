"""Graph: from the resolved spec to the module graph, as the spec says it."""
