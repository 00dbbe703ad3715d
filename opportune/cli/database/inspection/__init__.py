"""`inspectdb`: reading an existing database and writing models of its tables."""
