"""Answers in requests: pages, API, streams and forms of questions."""
