"""Everything that reads from lsst-daf-butler: exposures, raw URIs, the certified chain."""
