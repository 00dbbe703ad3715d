"""Rehearsal of a deployment: run the production set-up under a host's limits and test it over HTTP."""
