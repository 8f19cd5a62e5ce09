"""Parse YAML files and overrides to one tree whose nodes keep their locations."""
