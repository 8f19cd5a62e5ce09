"""Run the command line, a module a subcommand; no other package prints and exits."""
