"""A project of its own, made from a clone of the starter. With the standard library alone: nothing is installed yet."""
