"""Engines that misbehave on purpose: the real worker file with a runtime of the test's own in place of the real one."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from stages.engines.client import WORKER

_RUNTIME = '''
import os, signal, sys, time
import numpy as np

class Interpreter:
    """One input (1, 4) float32, one output: the input plus one."""
    def __init__(self, model_content, num_threads):
        self.rows = 1
        on_init(model_content)
    def allocate_tensors(self): pass
    def reset_all_variables(self): pass
    def _details(self, shape):
        none = {"scales": np.array([]), "zero_points": np.array([])}
        return [{"index": 0, "name": "x", "shape": np.array(shape), "dtype": np.float32,
                 "quantization_parameters": none}]
    def get_input_details(self): return self._details([self.rows, 4])
    def get_output_details(self): return self._details([self.rows, 4])
    def resize_tensor_input(self, index, shape): self.rows = shape[0]
    def set_tensor(self, index, values): self.values = values.copy()
    def invoke(self): on_invoke(self)
    def get_tensor(self, index): return self.values + 1

def on_init(content): pass
def on_invoke(interpreter): pass
'''

_START = '''
import importlib.util, sys
sys.path.insert(0, {folder!r})
spec = importlib.util.spec_from_file_location("worker", {worker!r})
worker = importlib.util.module_from_spec(spec)
sys.modules["worker"] = worker
spec.loader.exec_module(worker)
worker.MODULES["litert"] = "runtime_stub"
sys.exit(worker.main(["litert"]))
'''


def stub(folder: Path, behaviour: str = "") -> list[str]:
    """The command of a worker whose runtime has `behaviour` (definitions of `on_init(content)`, `on_invoke(i)`)."""
    (folder / "runtime_stub.py").write_text(_RUNTIME + textwrap.dedent(behaviour))
    start = folder / "start.py"
    start.write_text(_START.format(folder=str(folder), worker=str(WORKER)))
    return [sys.executable, str(start)]


def script(folder: Path, text: str) -> list[str]:
    """The command of any Python script in place of the worker."""
    path = folder / "script.py"
    path.write_text(textwrap.dedent(text))
    return [sys.executable, str(path)]
