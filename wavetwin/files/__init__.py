"""Files: replaced whole, and JSON read back with a limit on its depth."""
