"""What stands behind the calibrate stage."""
