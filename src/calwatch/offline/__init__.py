"""Tools a person runs to make and certify calibrations. The daemon never imports this package."""
