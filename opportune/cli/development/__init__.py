"""Commands for daily development: server, tests, shell, checks."""
