"""Operations without a shell: migrations, backups, jobs, sessions, settings and diagnostics."""
