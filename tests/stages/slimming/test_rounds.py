"""What rounds keep in the scratch folder, and what they take from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stages.slimming import rounds
from stages.slimming.budget import Bounds
from stages.slimming.cutting import survey
from tests.stages.slimming.sight import headed


def network() -> Any:
    import tf_keras as keras

    inputs = keras.layers.Input((4, 4, 2))
    return headed(inputs, keras.layers.Conv2D(4, 1)(keras.layers.Conv2D(6, 1)(inputs)))


def test_a_plan_is_taken_up_where_it_fits_the_model(tmp_path: Path) -> None:
    surveyed, file = survey(network(), (), Bounds()), tmp_path / "plan.json"
    assert rounds._planned(file, surveyed) is None
    file.write_text(json.dumps({"kept": [3, 2]}))
    planned = rounds._planned(file, surveyed)
    assert planned is not None
    assert planned.tolist() == [3, 2]
    file.write_text(json.dumps({"kept": [3, 2, 1]}))
    assert rounds._planned(file, surveyed) is None


def test_each_round_s_plan_is_written_before_its_training(tmp_path: Path, prepared: Path, trained: Path,
                                                          monkeypatch: Any) -> None:
    from stages import slim
    from tests.stages.conftest import make_context

    seen: list[str] = []

    def stop(*_: Any) -> None:
        seen.extend(sorted(path.name for path in (tmp_path / "scratch").iterdir()))
        raise KeyboardInterrupt

    monkeypatch.setattr(rounds, "fit", stop)
    try:
        slim.run(model=trained, data=prepared, options=slim.Options(share=0.3, importance="bn"),
                 context=make_context(tmp_path))
    except KeyboardInterrupt:
        assert seen == ["fit1", "round1-plan.json"]
