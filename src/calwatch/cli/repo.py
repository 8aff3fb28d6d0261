"""``calwatch repo``: tools for a person who keeps a Butler repository.

Only these commands (and the simulator) write to a repository. The daemon has no way to them.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from calwatch.errors import RawError, StopError

if TYPE_CHECKING:
    from calwatch.camera.model import Camera

_COMBINE = "calwatch.cli.combine:combine"
_COMBINE_HELP = "Build calibrations from the raws of a repository."
_FORCE = click.option(
    "--force-name", is_flag=True, help="Accept collection names that break DMTN-222 §2."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on one line.")
_INSTRUMENT = click.option(
    "--instrument", "-I", required=True, help="LATISS, LSSTComCam, LSSTCam, or a camera file."
)


class _RepoGroup(click.Group):
    """The group, with ``combine`` imported only when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), "combine"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name != "combine":
            return super().get_command(ctx, cmd_name)
        module, _, attribute = _COMBINE.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{_COMBINE} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = {
            name: self.commands[name].get_short_help_str(65) for name in super().list_commands(ctx)
        }
        with formatter.section("Commands"):
            formatter.write_dl(sorted({**rows, "combine": _COMBINE_HELP}.items()))


@click.group(cls=_RepoGroup)
def repo() -> None:
    """Make, fill and certify a Butler repository, by the rules of DMTN-222 §2-3.

    Example: calwatch repo create /repo/stand --instrument stand.yaml
    """


@repo.command()
@click.argument("repo")
@_INSTRUMENT
@click.option("--datastore-root", default="", help="Where files go, such as s3://bucket/store.")
@click.option("--registry", default="", help="SQLAlchemy URL of the registry [default: SQLite].")
@click.option("--add", is_flag=True, help="Register the camera in a repository that exists.")
def create(repo: str, instrument: str, datastore_root: str, registry: str, add: bool) -> None:
    """Make the Butler repository REPO and register a camera in it.

    Example: calwatch repo create /repo/LATISS --instrument LATISS
    """
    from calwatch.offline.repository import create_repository

    camera = _camera(instrument)
    create_repository(repo, camera, datastore_root=datastore_root, registry_url=registry, add=add)
    click.echo(f"{repo}: {camera.instrument} with {len(camera.detectors)} detectors")


@repo.command()
@click.argument("repo")
@click.argument("files", nargs=-1, required=True)
@_INSTRUMENT
@click.option("--run", default="", help="RUN collection [default: <INSTRUMENT>/raw/all].")
@click.option(
    "--transfer",
    type=click.Choice(["direct", "copy", "link", "symlink", "hardlink", "move"]),
    default="direct",
    show_default=True,
    help="direct leaves the files where they are.",
)
@_JSON
def ingest(
    repo: str, files: tuple[str, ...], instrument: str, run: str, transfer: str, as_json: bool
) -> None:
    """Ingest raw FILES (or folders of *.fits, or URIs) into REPO.

    Files that are there already are skipped; bad ones are named, and the others go on. Exit code
    1 if one was bad.

    Example: calwatch repo ingest /repo/LATISS --instrument LATISS /data/2026-11-20/
    """
    from rich.console import Console
    from rich.progress import Progress

    from calwatch.offline.ingest import ingest_files

    paths = _expand(files)
    with Progress(console=Console(stderr=True), disable=as_json) as bar:
        task = bar.add_task("reading headers", total=len(paths))
        report = ingest_files(
            repo, _camera(instrument), paths, run, transfer, lambda _: bar.advance(task)
        )
    if as_json:
        result = {
            "exposures": report.exposure_ids,
            "ingested": report.ingested,
            "skipped": report.skipped,
            "bad": report.bad,
        }
        click.echo(json.dumps(result))
    else:
        click.echo(
            f"{report.ingested} ingested, {report.skipped} there already, {len(report.bad)} bad; "
            f"{len(report.exposure_ids)} exposures"
        )
    if report.bad:
        raise RawError("not ingested:\n  " + "\n  ".join(report.bad.values()))


@repo.command()
@click.argument("repo")
@click.argument("run")
@click.argument("collection")
@click.argument("calib_types", metavar="TYPE...", nargs=-1, required=True)
@click.option("--begin", "--begin-date", help="ISO-8601 in TAI [default: open].")
@click.option("--end", "--end-date", help="ISO-8601 in TAI, not included [default: open].")
@_FORCE
@_JSON
def certify(
    repo: str,
    run: str,
    collection: str,
    calib_types: tuple[str, ...],
    begin: str | None,
    end: str | None,
    force_name: bool,
    as_json: bool,
) -> None:
    """Certify the calibrations of RUN in the CALIBRATION collection COLLECTION.

    Example: calwatch repo certify /repo/LATISS
    LATISS/calib/DM-12345/voltageChange/biasGen.20220915a
    LATISS/calib/DM-12345/voltageChange/bias.20220916a bias --begin 2022-09-15
    """
    from calwatch.offline.certify import certify as certify_run

    count = certify_run(repo, run, calib_types, collection, begin, end, force_name=force_name)
    result = {"collection": collection, "certified": count, "begin": begin, "end": end}
    click.echo(json.dumps(result) if as_json else f"{count} datasets certified in {collection}")


@repo.command()
@click.argument("repo")
@click.argument("chain")
@click.argument("collections", nargs=-1, required=True)
@click.option(
    "--mode", type=click.Choice(["prepend", "redefine"]), default="prepend", show_default=True
)
@_FORCE
@_JSON
def chain(
    repo: str,
    chain: str,
    collections: tuple[str, ...],
    mode: str,
    force_name: bool,
    as_json: bool,
) -> None:
    """Put COLLECTIONS in front of the CHAINED collection CHAIN, or make it hold just these.

    Example: calwatch repo chain /repo/LATISS LATISS/calib LATISS/calib/DM-12345
    """
    from calwatch.offline.chain import prepend, set_chain

    change = prepend if mode == "prepend" else set_chain
    children = change(repo, chain, collections, force_name=force_name)
    if as_json:
        click.echo(json.dumps({"chain": chain, "collections": children}))
    else:
        click.echo("\n  ".join([f"{chain}:", *children]))


@repo.command()
@click.argument("repo")
@click.argument("source")
@click.argument("tagged")
@click.argument("calib_types", metavar="TYPE...", nargs=-1, required=True)
@click.option("--at", required=True, help="ISO-8601 in TAI: what is valid then is tagged.")
@_FORCE
@_JSON
def tag(
    repo: str,
    source: str,
    tagged: str,
    calib_types: tuple[str, ...],
    at: str,
    force_name: bool,
    as_json: bool,
) -> None:
    """Tag what the chain SOURCE gives at one time in the TAGGED collection TAGGED.

    Example: calwatch repo tag /repo/LATISS LATISS/calib LATISS/calib_tagged/inUse bias dark
    --at 2026-11-20
    """
    from calwatch.offline.tag import tag as tag_calibrations

    count = tag_calibrations(repo, source, tagged, calib_types, at, force_name=force_name)
    result = {"collection": tagged, "tagged": count, "at": at}
    click.echo(json.dumps(result) if as_json else f"{count} datasets tagged in {tagged}")


def _camera(name_or_path: str) -> Camera:
    from calwatch.camera.loader import load_camera

    return load_camera(name_or_path)


def _expand(files: tuple[str, ...]) -> list[str]:
    """Return the files named, and for each folder the FITS files in it."""
    paths: list[str] = []
    for name in files:
        folder = Path(name)
        if "://" in name or not folder.is_dir():
            paths.append(name)
            continue
        found = sorted(str(path) for path in folder.glob("*.fits*"))
        if not found:
            raise StopError(f"{name}: no *.fits files in this folder")
        paths += found
    return paths
