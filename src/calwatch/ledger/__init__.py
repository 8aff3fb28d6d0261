"""What has been judged: every number, verdict and provenance, in SQLite or PostgreSQL."""
