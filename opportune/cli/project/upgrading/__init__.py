"""The next release of the framework, taken into a project."""
