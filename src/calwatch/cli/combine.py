"""``calwatch repo combine``: make a calibration from the raws of a repository."""

from __future__ import annotations

import json
from typing import Any

import click

EPILOG = """\b
Example:
  calwatch repo combine /repo/LATISS bias --instrument LATISS \\
      --where "exposure.day_obs = 20261121 AND exposure.observation_type = 'bias'" \\
      --run LATISS/calib/DM-10001/initialSet/biasGen.20261121a \\
      --input LATISS/calib/DM-10001/initialSet/ptcGen.20261121a

\b
What is made from what:
  bias, dark, flat  3-sigma clipped mean of the frames
  ptc               pairs of flats of equal exposure time, and two biases at least
  linearizer        a ramp of flats of known exposure times
  defects           a combined dark and flat; no exposures
"""

TYPES = ("bias", "dark", "flat", "defects", "ptc", "linearizer")


@click.command(epilog=EPILOG)
@click.argument("repo", type=click.Path())
@click.argument("calib_type", type=click.Choice(TYPES))
@click.option("--instrument", required=True, help="LATISS, LSSTComCam, LSSTCam, or a camera's own.")
@click.option("--camera", default="", help="Camera file (YAML) of another camera.")
@click.option("--exposure", "exposures", multiple=True, type=int, help="Exposure id; repeatable.")
@click.option("--where", default="", help="Butler expression that chooses exposures.")
@click.option("--detector", "detectors", multiple=True, help="Number or name; all if not given.")
@click.option("--run", "output_run", required=True, help="RUN collection for the result.")
@click.option("--input", "inputs", multiple=True, help="RUN whose calibrations are used as is.")
@click.option("--calib-collection", default=None, help="Certified collection for all others.")
@click.option("--filter", "physical_filter", default="", help="Physical filter of a flat.")
@click.option("--processes", default=1, show_default=True, type=click.IntRange(min=1))
@click.option("--compress/--no-compress", default=True, show_default=True, help="Of images.")
@click.option("--scratch", default=None, type=click.Path(exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print detector and UUID as JSON.")
def combine(
    repo: str,
    calib_type: str,
    instrument: str,
    camera: str,
    exposures: tuple[int, ...],
    where: str,
    detectors: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Make a CALIB_TYPE for each detector from raws of the Butler repository REPO.

    The result goes into a RUN collection; nothing is certified by this.
    """
    from calwatch.camera.loader import load_camera

    described = load_camera(camera or instrument)
    numbers = [described.detector(int(d) if d.isdigit() else d).number for d in detectors]
    arguments = {
        "root": repo,
        "camera": described,
        "calib_type": calib_type,
        "exposure_ids": _chosen(repo, described.instrument, calib_type, exposures, where),
        "detectors": numbers or None,
        **options,
    }
    uuids = _combine(arguments, quiet=as_json)
    if as_json:
        run = options["output_run"]
        rows = [{"detector": number, "uuid": uuid} for number, uuid in sorted(uuids.items())]
        click.echo(json.dumps({"calib_type": calib_type, "run": run, "datasets": rows}))
        return
    for number, uuid in sorted(uuids.items()):
        name = described.detector(number).name
        click.echo(f"{calib_type} of detector {number} ({name}): {uuid} in {options['output_run']}")


def _chosen(
    repo: str, instrument: str, calib_type: str, exposures: tuple[int, ...], where: str
) -> list[int]:
    """Return the exposures asked for; only the right observation types of an expression."""
    if not where:
        if not exposures and calib_type != "defects":
            raise click.UsageError("say which exposures: --exposure or --where")
        return list(exposures)
    from calwatch.butler.repository import Repository

    types = {"ptc": ("flat", "bias"), "linearizer": ("flat",)}.get(calib_type, (calib_type,))
    with Repository.open(repo) as repository:
        found = repository.exposures(
            instrument,
            exposure_ids=exposures or None,
            where=where,
            observation_types=None if calib_type == "defects" else types,
        )
    return [exposure.exposure_id for exposure in found]


def _combine(arguments: dict[str, Any], *, quiet: bool) -> dict[int, str]:
    """Combine, with a progress bar on the terminal unless quiet."""
    from calwatch.offline.combine import combine as make

    if quiet:
        return make(**arguments)
    from calwatch.cli.bars import counting_bars

    with counting_bars() as bars:
        task = bars.add_task(arguments["calib_type"], total=None)

        def report(done: int, total: int, what: str) -> None:
            bars.update(task, completed=done, total=total, description=what)

        return make(**arguments, on_progress=report)
