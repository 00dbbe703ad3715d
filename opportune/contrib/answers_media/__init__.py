"""Spoken questions, answers read aloud, and pictures in answers."""
