"""What is measured and tested, one file a calibration type: data only, no kernel."""
