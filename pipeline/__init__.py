"""How a run is described, carried out and shown."""
