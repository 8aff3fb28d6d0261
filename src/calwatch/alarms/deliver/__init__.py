"""Telling people and machines of alarms: one file a channel."""
