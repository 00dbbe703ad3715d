"""Rules for settings on a host. Each rule is a function that yields findings."""
