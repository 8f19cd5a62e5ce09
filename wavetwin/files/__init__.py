"""Replace files whole, and read JSON back with a limit on its depth."""
