"""`python -m wavetwin`: the same as the command `wavetwin`."""

from wavetwin.commands.cli import entry_point

entry_point()
