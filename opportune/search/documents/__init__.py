"""Indexes of documents: what is elsewhere, made searchable by a command or a job."""
