"""Full-text indexes of documents outside the database, built by a command or a job."""
