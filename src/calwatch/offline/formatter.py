"""The formatter under which calwatch's offline tools record files in a datastore."""

from __future__ import annotations

from typing import Any

from lsst.daf.butler import FormatterV2


class FileFormatter(FormatterV2):
    """Tell the datastore that a dataset is one file, to be read by its URI.

    The file's own layout says what it is. ``Butler.get`` gives the path of a local copy, because
    the in-memory types of the storage classes belong to the LSST stack.
    """

    default_extension = ".fits"
    can_read_from_local_file = True

    def read_from_local_file(
        self,
        path: str,
        component: str | None = None,  # noqa: ARG002
        expected_size: int = -1,  # noqa: ARG002
    ) -> Any:
        """Return the path itself."""
        return path
