"""`upgrade`: fetch a release of the framework and merge it into a project."""
