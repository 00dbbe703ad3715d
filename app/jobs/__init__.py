"""Where jobs are kept and who does them: tables in the site's own database, and a worker in each process."""
