"""The documentation of the framework: in the terminal, and at /docs in development."""
