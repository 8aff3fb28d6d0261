"""What has been judged: SQLAlchemy on SQLite or PostgreSQL."""
