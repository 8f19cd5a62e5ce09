"""Import what others trained and wrote: weights, names, command lines of the published code."""
