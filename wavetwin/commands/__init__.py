"""The command line: one module a subcommand. The only place that prints and exits."""
