"""The Operations pages, which replace shell commands: migrations, backups, jobs, sessions, settings and diagnostics."""
