"""The verification report of DMTN-222 §3.2, of a night, a range of days or a collection."""
