"""Read sweeps: documents that vary the fields of a spec, and check every point before one is trained."""
