"""What a worker needs to know to judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from calwatch.camera.loader import load_camera
from calwatch.camera.model import Camera
from calwatch.errors import CameraError
from calwatch.settings import Settings

if TYPE_CHECKING:
    from calwatch.isr.model import Engine
    from calwatch.verify.judge import Images
    from calwatch.verify.sets.abscissa import LightBy
    from calwatch.verify.sets.photodiode import Method


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """What a worker needs to know to judge. Plain data: it crosses a process border."""

    camera: str = ""
    """A camera file, or empty for the camera of the instrument's own name."""
    limits: str = "dmtn101"
    cache_bytes: int = 2 * 1024**3
    """Memory for certified calibrations."""
    calibration_folder: str = ""
    """Where decompressed images are shared; see `calwatch.settings.Settings`."""
    calibration_folder_bytes: int = 64 * 1024**3
    engine: Engine = "fast"
    """Of the ISR and of the measurement of pixels."""
    images: Images = "none"
    """Of which frames a small image goes into the result."""
    linearity_by: LightBy = "auto"
    """What the light of a sequence of pairs is known by."""
    photodiode_method: Method = "TRIMMED_SUM"
    photodiode_scale: float = -1.0
    """How readings of the photodiode become a charge."""
    wait_for_files: bool = False
    """True: a file that cannot be fetched is an error (to be tried again); False: it makes the
    verdict UNKNOWN at once."""

    @classmethod
    def of(cls, settings: Settings) -> JudgeSettings:
        """Return what the workers of a daemon need of its settings."""
        return cls(
            camera=settings.camera,
            limits=settings.limits,
            cache_bytes=settings.calibration_cache_bytes,
            calibration_folder=settings.calibration_folder,
            calibration_folder_bytes=settings.calibration_folder_bytes,
            engine=settings.isr.engine,
            images=settings.keep_images,
            linearity_by=settings.sets.linearity_by,
            photodiode_method=settings.sets.photodiode_method,
            photodiode_scale=settings.sets.photodiode_scale,
            wait_for_files=True,
        )

    def camera_of(self, instrument: str) -> Camera:
        """Return the camera of an instrument.

        Raises
        ------
        CameraError
            If there is none of that name, or the camera file is of another instrument.
        """
        camera = load_camera(self.camera or instrument)
        if camera.instrument != instrument:
            raise CameraError(f"{self.camera}: is {camera.instrument}, not {instrument}")
        return camera
