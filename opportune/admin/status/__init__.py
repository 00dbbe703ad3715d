"""The status page for superusers: the state of each part of the site, with advice."""
