"""calwatch: watches the calibrations of the Rubin Observatory cameras."""

__version__ = "0.1.0"
