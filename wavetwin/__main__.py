"""Run `python -m wavetwin` as the command `wavetwin`."""

from wavetwin.commands.cli import entry_point

entry_point()
