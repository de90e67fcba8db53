"""Where the model came from and what a closer look at the data found, in rows of words for page and Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from stages.records import ExamineResult, InputExtremes, LabelErrors, ModelResult, NearDuplicates, Sample
from stages.reporting.text import figure_text, plural, quantity, significant

Rows = list[tuple[str, str]]

_KINDS = {"builder": "built by litesmith", "application": "from Keras applications", "function": "built by a function",
          "keras3": "Keras 3 file, bridged", "keras2": "Keras 2 file", "h5": "Keras 2 HDF5 file",
          "saved_model": "SavedModel", "tflite": "float tflite model"}


def model_rows(model: ModelResult | None) -> Rows:
    """Origin, size and the proof of the translation."""
    if model is None:
        return []
    rows = [("origin", model.origin), ("kind", _KINDS.get(model.kind, model.kind)),
            ("weights", "came trained" if model.trained else "trained in this run")]
    if model.parameters:
        rows.append(("parameters", f"{model.parameters:,}"))
    if model.layers:
        rows.append(("operators" if model.kind == "tflite" else "layers", f"{model.layers:,}"))
    if model.proof is not None:
        rows.append(("translation", f"outputs differ by at most {model.proof:.1e} from the model as given, on "
                                    f"{plural(model.proof_samples, 'sample')}" + (
                                        f" ({model.proof_on})" if model.proof_on else "")))
    rows += [(f"written differently: {name}", text) for name, text in model.changed.items()]
    return [*rows, *(("trusted", text) for text in model.trusted)]


def examination_rows(found: ExamineResult | None) -> Rows:
    """Everything but the lists of samples."""
    return [] if found is None else [
        ("examined", _examined(found)), *_imbalance(found), *_extremes(found), *_groups(found),
        *_near_rows(found.near_duplicates), *_label_rows(found.label_errors)]


def sample_place(sample: Sample, label: bool = True) -> str:
    """`test 12, cat/0004.png (cat)`: where a sample is, what its source calls it, its label."""
    name = f", {sample.name}" if sample.name else ""
    return f"{sample.split} {sample.index}{name}" + (f" ({sample.label})" if label and sample.label else "")


def _examined(found: ExamineResult) -> str:
    """How many of each split."""
    if found.examined == found.samples:
        return f"all {sum(found.samples.values()):,} samples"
    parts = (f"{count:,} of {found.samples[name]:,} {name}" for name, count in found.examined.items())
    share = sum(found.examined.values()) / sum(found.samples.values())
    return (f"drawn by seed: {', '.join(parts)}; of all pairs of samples about {quantity(share**2, 'fraction')} "
            "were looked at")


def _imbalance(found: ExamineResult) -> Iterator[tuple[str, str]]:
    """Largest class over smallest, by split."""
    if found.imbalance:
        shown = ", ".join(f"{value:.2f} in {name}" for name, value in found.imbalance.items())
        yield "largest class over smallest", shown


def _extremes(found: ExamineResult) -> Iterator[tuple[str, str]]:
    """Values at the ends of the range, by input."""
    for name, one in found.extremes.items():
        yield f"values of {name}" if len(found.extremes) > 1 else "values", _extreme_text(one)


def _extreme_text(one: InputExtremes) -> str:
    """`0 to 255 as stored; 1.2 % of all at the lowest, 0.3 % at the highest; 4 clipped samples`."""
    shares = (quantity(share, "fraction") for share in (one.share_lowest, one.share_highest))
    low, high = (f"{value:g}" for value in (one.lowest, one.highest))
    text = "{} to {} as stored; {} of all at the lowest, {} at the highest".format(low, high, *shares)
    if one.clipped_samples:
        text += f"; {plural(one.clipped_samples, 'sample')} with more than a fifth of the values at one end"
    return text


def _groups(found: ExamineResult) -> Iterator[tuple[str, str]]:
    """Samples by group, by split."""
    for name, one in found.groups.items():
        yield f"groups in {name}", (f"{one.groups:,}, of {one.smallest:,} to {one.largest:,} samples "
                                    f"(median {significant(one.median)})")


def _near_rows(found: NearDuplicates) -> Iterator[tuple[str, str]]:
    """Near-duplicates: how many where, and how they were looked for."""
    if found.left_out:
        yield "near-duplicates", f"not looked for: {found.left_out}"
        return
    yield "near-duplicates across splits", ", ".join(_across_text(found, pair) for pair in found.across)
    yield "near-duplicates inside", ", ".join(f"{plural(count, 'pair')} in {name}" for name, count in
                                              found.within.items())
    yield "looked for by", found.method


def _across_text(found: NearDuplicates, pair: str) -> str:
    """`27 pairs train/test (26 test samples)`."""
    count, later = found.across[pair], pair.partition("/")[2]
    samples = f" ({plural(found.samples_across.get(pair, 0), f'{later} sample')})" if count else ""
    return f"{plural(count, 'pair')} {pair}{samples}"


def _label_rows(found: LabelErrors) -> Iterator[tuple[str, str]]:
    """Suspected label errors: how many, and what the suspicion is worth."""
    if found.score is not None:
        name = "accuracy" if found.score.unit == "fraction" else "R2"
        yield "cross-validated check of labels", f"{name} {figure_text(found.score)}, {found.method}"
    yield "suspected label errors", f"none listed: {found.left_out}" if found.left_out else f"{found.suspected:,}"
