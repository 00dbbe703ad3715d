"""Full-text search in the rows of models: indexes that the database itself keeps fresh."""
