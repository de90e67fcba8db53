from __future__ import annotations

import pytest

from pipeline.stage_order import STAGES


@pytest.mark.parametrize("name", list(STAGES))
def test_every_stage_keeps_the_contract(name):
    module = STAGES[name].module()
    assert name == module.NAME
    assert module.VERSION >= 1
    assert issubclass(module.Options, module.Settings)
    assert all(isinstance(library, str) for library in module.LIBRARIES)
    assert {"options", "context"} <= set(module.run.__kwdefaults__ or {}) | set(module.run.__annotations__)
    assert all(field.description for field in module.Settings.model_fields.values())


def test_the_order_is_that_of_the_work():
    order = ("prepare model examine train baseline distil slim prune sensitivity quantize convert pack calibrate "
             "evaluate benchmark compile check report")
    assert list(STAGES) == order.split()
