"""What an exposure is corrected with: its plan, from its calibrations and what is to be done."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import numpy as np

from calwatch.arrays import DoubleArray
from calwatch.calibrations.model import ImageCalibration
from calwatch.isr import crosstalk
from calwatch.isr.corrections import dark_scale
from calwatch.isr.model import IsrInput
from calwatch.isr.sorting_network import sorting_network
from calwatch.isr.steps import AmplifierFacts, Steps, image_factor
from calwatch.isr.stream.charge_transfer import no_transfer, transfer_of
from calwatch.isr.stream.crosstalk import padded_coefficients
from calwatch.isr.stream.linearity import linearizer_splines, no_splines
from calwatch.isr.stream.masks import mask_of_calibrations
from calwatch.isr.stream.output import Images, read_only, unused_image
from calwatch.isr.stream.passes import Corrections
from calwatch.isr.stream.plan import (
    CannotStreamError,
    Placement,
    Sections,
    draw_shape,
    gain_factors,
    placement_of,
    sections_of,
)
from calwatch.isr.stream.rows import Source, source_of
from calwatch.isr.stream.twister import uniform_draws


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What is known before a pixel is read, or expected."""

    given: IsrInput
    amps: AmplifierFacts
    steps: Steps
    sections: Sections
    placement: Placement
    source: Source
    corrections: Corrections
    limit: DoubleArray
    """Shape (n_amp,), units of the image: signal of crosstalk that marks a pixel."""
    keep: Set[int] = frozenset()
    """Amplifiers of which all signals of crosstalk are kept."""


def plan_of(given: IsrInput, amps: AmplifierFacts, steps: Steps) -> Plan:
    """Make the plan of an exposure.

    Raises
    ------
    CannotStreamError
        If its form is none that can be streamed.
    CalibrationError
        If a calibration is not of its stated form.
    """
    detector, n_amp = given.detector, len(given.detector.amplifiers)
    if sum(amp.bbox.area for amp in detector.amplifiers) != detector.width * detector.height:
        raise CannotStreamError("the amplifiers do not cover the detector")
    sections = sections_of(given, steps)
    linear = squared = np.zeros((n_amp, n_amp))
    limit = np.ones(n_amp)
    certified = given.calibrations
    if "crosstalk" in steps and certified.crosstalk is not None:
        linear, squared, limit = crosstalk.coefficients(
            certified.crosstalk,
            amps.gain if amps.electrons else None,
            amps.bad,
            quadratic=given.switches.quadratic_crosstalk,
        )
    splines, transfer = no_splines(n_amp), no_transfer(n_amp)
    if "linearity" in steps and certified.linearizer is not None:
        splines = linearizer_splines(certified.linearizer, amps)
    if "cti" in steps and certified.cti is not None:
        transfer = transfer_of(certified.cti)
    corrections = Corrections(
        skip=amps.bad,
        usual_sigma=np.full(n_amp, np.inf),
        network=sorting_network(sections.fit_x1 - sections.fit_x0),
        gain=gain_factors(amps, steps),
        crosstalk=padded_coefficients(linear, squared),
        subtract_crosstalk="crosstalk" in steps,
        splines=splines,
        transfer=transfer,
    )
    source = _source(given, dithered="dither" in steps)
    return Plan(given, amps, steps, sections, placement_of(detector), source, corrections, limit)


def _source(given: IsrInput, *, dithered: bool) -> Source:
    shape = draw_shape(given.detector) if dithered else (0, 0)
    draws = uniform_draws(given.dither_seed, shape[0] * shape[1]).reshape(shape)
    return source_of(given.raw, draws, dithered=dithered)


def images_of(plan: Plan) -> Images:
    """Return the certified images that are used, and room for image and mask."""
    given, steps, n_amp = plan.given, plan.steps, len(plan.amps.bad)
    used, factors = {}, {}
    for step in ("bias", "dark", "flat"):
        calibration = getattr(given.calibrations, step)
        used[step] = read_only(calibration.image) if step in steps else unused_image()
        factors[step] = np.ones(n_amp, np.float32)
    for calibration, factor in subtracted(plan):
        factors[calibration.calib_type] = factor.astype(np.float32)
    mask, masked_rows = mask_of_calibrations(given, plan.amps, steps)
    return Images(
        bias=used["bias"],
        dark=used["dark"],
        flat=used["flat"],
        bias_factor=factors["bias"],
        dark_factor=factors["dark"],
        image=np.empty(given.detector.shape, np.float32),
        mask=mask,
        masked_rows=masked_rows,
        mark_nan="nan_mask" in steps,
    )


def subtracted(plan: Plan) -> tuple[tuple[ImageCalibration, DoubleArray], ...]:
    """Return bias and dark, if they are subtracted, with the factor of each amplifier."""
    found = []
    bias, dark = plan.given.calibrations.bias, plan.given.calibrations.dark
    if "bias" in plan.steps and bias is not None:
        found.append((bias, image_factor(bias, plan.amps)[0]))
    if "dark" in plan.steps and dark is not None:
        scale = dark_scale(dark, plan.given.dark_time)
        found.append((dark, image_factor(dark, plan.amps)[0] * scale))
    return tuple(found)
