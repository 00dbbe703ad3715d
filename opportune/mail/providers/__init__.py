"""Providers of mail with an API over HTTPS: a small class each."""
