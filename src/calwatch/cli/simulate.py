"""``calwatch simulate``: a Butler repository with known truth."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from calwatch.simulate.plan import SimulationPlan
    from calwatch.simulate.truth import Truth

EPILOG = """\b
Example:
  calwatch simulate /tmp/latiss --instrument LATISS --nights 2 --seed 1 \\
      --fault read_noise:amp=C03,factor=1.3,night=2 --fault light_leak:rate=2,night=1,number=1

\b
Faults are written KIND[:key=value[,key=value...]]. Every kind takes night=, type= (bias, dark or
flat), number= (place in the set) and one of amp=DETECTOR/AMP, detector=, reb=, raft=.
  read_noise        factor=1.3           read noise up or down
  gain_step         factor=1.06          gain (e-/ADU)
  bias_jump         adu=80               level of the whole frame
  bias_shift        r0=,r1=,adu=10       level of some rows
  light_leak        rate=2.0             e-/s, in darks
  lamp_off, lamp_drift (factor=1.03), saturated_flat (factor=10)   in flats
  lamp_fading       factor=0.998         from flat to flat of a night
  hot_pixels        count=200,rate=50    e-/s, new in darks
  charge_loss       cti=2e-5             more per serial transfer, in flats
  more_crosstalk    coefficient=3e-4     from an amplifier to all others, in flats
  dead_amp          amp=,value=0         constant output
  wrong_sequencer   file=
  missing_hdu       amp=
  truncated_file    keep=0.6
  nan_header        key=DARKTIME         or EXPTIME, SHUTTIME
  missing_calibration type=dark          not certified on these nights
"""


@click.command(epilog=EPILOG)
@click.argument("repo", type=click.Path(file_okay=False))
@click.option("--instrument", required=True, help="LATISS, LSSTComCam, LSSTCam, or a camera's own.")
@click.option("--camera", default="", help="Camera file (YAML) of another camera.")
@click.option("--detectors", default="", help="Numbers or names, comma-separated, or: all.")
@click.option("--nights", default=2, show_default=True, help="Nights of daily calibrations.")
@click.option("--seed", default=1, show_default=True, help="Decides every random number.")
@click.option("--fault", "faults", multiple=True, metavar="SPEC", help="A fault; see below.")
@click.option("--biases", default=3, show_default=True, help="Biases in one night.")
@click.option("--darks", default=3, show_default=True, help="Darks in one night.")
@click.option("--flats", default=3, show_default=True, help="Flats in one night and filter.")
@click.option("--pairs", default=0, show_default=True, help="Flat pairs of a PTC in one night.")
@click.option("--spots", default=0, show_default=True, help="Flats with spots of light (crosstalk) "
              "in one night.")  # fmt: skip
@click.option("--photodiode/--no-photodiode", default=True, show_default=True, help="Readings of "
              "the photodiode for flats (LSSTCam).")  # fmt: skip
@click.option("--filters", default="", help="Physical filters of the flats, comma-separated.")
@click.option("--calib-biases", default=20, show_default=True, help="Biases in a certified bias.")
@click.option("--calib-darks", default=12, show_default=True, help="Darks in a certified dark.")
@click.option("--calib-flats", default=20, show_default=True, help="Flats in a certified flat.")
@click.option("--ramp-pairs", default=12, show_default=True, help="Flat pairs of the PTC ramp.")
@click.option("--processes", default=2, show_default=True, help="Processes that make frames.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as one JSON object.")
def simulate(
    repo: str, detectors: str, filters: str, as_json: bool, faults: tuple[str, ...], **options: Any
) -> None:
    """Make a Butler repository REPO of simulated raws with a certified chain.

    Every injected value is written to REPO/truth.json.
    """
    from calwatch.simulate.plan import SimulationPlan
    from calwatch.simulate.repository import simulate as make

    plan = SimulationPlan(
        root=repo,
        detectors=_detectors(detectors, options["camera"] or options["instrument"]),
        filters=_words(filters),
        faults=faults,
        **options,
    )
    truth = make(plan) if as_json else with_progress(plan)
    summary = _summary(plan, truth)
    if as_json:
        click.echo(json.dumps(summary))
        return
    click.echo(
        f"{repo}: {summary['exposures']} exposures of {summary['detectors']} detectors, "
        f"{summary['daily']} of them daily; {len(truth.calibrations)} certified sets; "
        f"{len(truth.faults)} faults; truth in {summary['truth']}"
    )
    for fault in truth.faults:
        click.echo(f"  {fault['spec']}: {len(fault['exposures'])} exposures")


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _detectors(text: str, camera: str) -> tuple[int | str, ...]:
    """Return the chosen detectors; ``all`` names every one of the camera."""
    if text.strip() == "all":
        from calwatch.camera.loader import load_camera

        return tuple(det.number for det in load_camera(camera).detectors)
    return tuple(int(word) if word.isdigit() else word for word in _words(text))


def _summary(plan: SimulationPlan, truth: Truth) -> dict[str, Any]:
    from pathlib import Path

    from calwatch.simulate.repository import TRUTH_FILE

    return {
        "repo": plan.root,
        "instrument": truth.instrument,
        "detectors": len(truth.detectors),
        "exposures": len(truth.exposures),
        "daily": sum(1 for exposure in truth.exposures if exposure["night"]),
        "calibrations": truth.calibrations,
        "faults": [fault["spec"] for fault in truth.faults],
        "truth": str(Path(plan.root) / TRUTH_FILE),
    }


def with_progress(plan: SimulationPlan) -> Truth:
    """Simulate with a bar for each stage on a terminal, and a line as each stage ends.

    Raises
    ------
    CalwatchError
        As `calwatch.simulate.repository.simulate` does.
    """
    from calwatch.cli.bars import counting_bars
    from calwatch.simulate.repository import simulate as make

    with counting_bars(transient=True) as bars:
        return make(plan, _Stages(bars).report)


class _Stages:
    """Shows the stages of a simulation: the present one as a bar, those that ended as a line."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._running: dict[str, tuple[TaskID, float]] = {}

    def report(self, stage: str, done: int, total: int) -> None:
        """Take note of progress; a stage ends when all of it is done."""
        now = time.monotonic()
        if stage not in self._running:
            self._running[stage] = (self._bars.add_task(stage, total=total), now)
        task, begun = self._running[stage]
        self._bars.update(task, completed=done)
        if done >= total:
            del self._running[stage]
            self._bars.remove_task(task)
            self._bars.console.print(f"{stage}: {done} in {now - begun:.0f} s", highlight=False)
