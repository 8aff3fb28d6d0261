"""Measurements that need several exposures: one file each, pure."""
