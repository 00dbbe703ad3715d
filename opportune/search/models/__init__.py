"""Full-text search in the rows of models, with indexes that the database updates."""
