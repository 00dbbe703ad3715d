"""Tools for the operators of a site: backups, copies of a database, diagnosis, deployment and telemetry."""
