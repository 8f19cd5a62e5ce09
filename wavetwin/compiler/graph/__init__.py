"""Build the module graph of a resolved spec, as the spec says it."""
