"""Statistics, tests, limits and verdicts. Pure: no clock, no I/O beyond reading limits files."""
