"""Embeddings of texts: the models that make them, and the jobs that store them."""
