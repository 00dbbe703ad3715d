"""`inspectdb`: reflection of an existing database and generation of models."""
