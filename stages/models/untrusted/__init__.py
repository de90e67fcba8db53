"""A look into a user's model file before anything of it is run, and without any framework.

What a file may name is listed (`known.py`, `operators.py`); everything else is a finding. So an attack that nobody has
thought of yet is refused as well, and so is now and then a harmless file: the message says how to let it through.
"""

from __future__ import annotations

from stages.models.untrusted.hdf5 import scan_hdf5_head
from stages.models.untrusted.records import Finding, ScanLimits
from stages.models.untrusted.scanning import refuse, refuse_untrusted, scan

__all__ = ["Finding", "ScanLimits", "refuse", "refuse_untrusted", "scan", "scan_hdf5_head"]
