"""Cameras as data: detectors, amplifiers, geometry; and reading one raw file."""
