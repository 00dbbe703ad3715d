"""`startproject`: a new project from a clone of the starter. Uses only the standard library."""
