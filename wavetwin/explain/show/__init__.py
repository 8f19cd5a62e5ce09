"""Show one experiment as tables and pictures."""
