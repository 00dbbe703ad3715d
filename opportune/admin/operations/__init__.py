"""What else needs a shell: migrations, backups, jobs, sessions, settings, and a look at the database."""
