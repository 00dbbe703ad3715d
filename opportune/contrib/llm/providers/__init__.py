"""Clients of language models: OpenAI-compatible endpoints, a model on this machine, and a fake for tests."""
