"""Checks, observation and structured data for the replies of a model."""
