"""The bridge: a Keras 3 model object as the same model of `tf_keras`, and the proof that it is the same.

TFMOT and the TFLite converter work on Keras 2 (`tf_keras`) alone. `bridge` walks the Keras 3 graph call by call, makes
the same layers and copies the weights; `prove` sends the same samples through both. No code that a model file carries
is run.
"""

from __future__ import annotations

from stages.models.bridge.assembly import bridge
from stages.models.bridge.proof import prove
from stages.models.bridge.records import TOLERANCE, Bridged, Proof

__all__ = ["TOLERANCE", "Bridged", "Proof", "bridge", "prove"]
