"""Fill in what the spec leaves out, and make the training plan."""
