"""Makes `data.npz` for `run.yaml`: the digits again, as the two classes "even" and "odd", in litesmith's npz form.

    python make_data.py && litesmith run -c run.yaml
"""

import numpy as np
from sklearn.datasets import load_digits

digits = load_digits()
x = digits.images.astype(np.float32)[..., None]  # (1797, 8, 8, 1), raw values 0..16: litesmith normalizes
y = (digits.target % 2).astype(np.int64)  # (1797,), 0 even, 1 odd
np.savez_compressed("data.npz", x=x, y=y, class_names=np.array(["even", "odd"]))
print(f"data.npz: {len(x):,} samples of shape {x.shape[1:]}, {np.bincount(y).tolist()} a class")
