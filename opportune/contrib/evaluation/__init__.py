"""Evaluations: a language model judges stored answers, or the answers of two models."""
