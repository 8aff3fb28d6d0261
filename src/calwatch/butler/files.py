"""A dataset's URI as a file on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from calwatch.errors import UnreachableFileError


@contextmanager
def local_copy(uri: str) -> Iterator[Path]:
    """Yield a local path that holds the content of a URI.

    Local files are used where they are; anything else (``s3://``, ``https://``) is fetched through
    lsst-resources and removed again on leaving.

    Raises
    ------
    UnreachableFileError
        If there is no such file, or it may not be read, or the network or the store fails.
    """
    if not uri:
        raise UnreachableFileError("the Butler knows no file for this dataset")
    with ExitStack() as stack:
        local = local_path(uri)
        path = _fetch(uri, stack) if local is None else _checked(local)
        yield path


def local_path(uri: str) -> Path | None:
    """Return the path of a ``file://`` URI or a plain path; None for any other scheme."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(uri) if not parts.scheme else None


def _checked(path: Path) -> Path:
    try:
        with path.open("rb"):
            return path
    except OSError as exc:
        raise UnreachableFileError(f"{path}: {exc.strerror or exc}") from exc


def _fetch(uri: str, stack: ExitStack) -> Path:
    try:
        from lsst.resources import ResourcePath

        local = stack.enter_context(ResourcePath(uri).as_local())
        return Path(local.ospath)
    except Exception as exc:  # Each store raises its own kinds.
        raise UnreachableFileError(f"{uri}: {type(exc).__name__}: {exc}") from exc
