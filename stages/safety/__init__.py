"""What a mean hides: drops of classes and slices, changed predictions, calibration, and mild corruption."""
