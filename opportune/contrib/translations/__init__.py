"""Commands and checks for translators."""
