"""Begin a training from weights that are there: whose they are, what fits, and what is left."""
