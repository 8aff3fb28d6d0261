"""Certified bias, dark, flat, defects, ptc, linearizer, crosstalk and cti: reading and caching."""
