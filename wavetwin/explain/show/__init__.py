"""Show: tables and pictures of one experiment."""
