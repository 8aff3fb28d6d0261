"""Looks at everything that the daemon needs, changes nothing, and says what is wrong."""
