"""Status of all parts of the site with advice, as a page for superusers and as JSON."""
