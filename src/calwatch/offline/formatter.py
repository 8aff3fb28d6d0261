"""The formatter under which calwatch's offline tools record files in a datastore."""

from __future__ import annotations

from lsst.daf.butler import FormatterV2


class FileFormatter(FormatterV2):
    """Record a dataset as one FITS file, to be found by its URI.

    It has no reader: the in-memory types of the storage classes belong to the LSST stack, and
    calwatch reads files by itself. Opening the repository and asking for URIs do not need it.
    """

    default_extension = ".fits"
