"""Alarms: one problem, one alarm, which lives until a person and the evidence agree it is over."""
