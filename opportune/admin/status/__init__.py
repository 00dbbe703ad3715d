"""How the site is, part by part, each with a word on what to do: a page for superusers, and JSON for machines."""
