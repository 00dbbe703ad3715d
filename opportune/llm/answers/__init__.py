"""Durable answers of language models: stored while they grow, shown on any page, by any process, through restarts.

`from opportune.llm import Answers`: what features import is listed there.
"""
