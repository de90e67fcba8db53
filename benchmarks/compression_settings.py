"""What `compression.py` makes: subjects, variants, and the settings that they share. None is tuned for one subject."""

from __future__ import annotations

import argparse
from typing import Any

IMAGE_AUGMENT = {"horizontal_flip": True, "shift": 0.125, "padding": "zero"}
AUDIO_AUGMENT = {"time_shift": 0.12, "padding": "edge"}
SOUNDS = ("ds_cnn",)
"""Subjects whose samples are sounds; those of the others are images."""

TUNING = {"batch_size": 64, "learning_rate": 1.5e-3, "patience": 0}
SETTINGS: dict[str, dict[str, Any]] = {
    "train": {"epochs": 20, "patience": 0, "samples_per_epoch": 20_000},
    "slim": TUNING | {"epochs": 8, "rounds": 3, "round_epochs": 1, "samples_per_epoch": 20_000},
    "prune": TUNING | {"epochs": 8, "samples_per_epoch": 20_000},
    "quantize": TUNING | {"epochs": 6, "learning_rate": 1e-4, "samples_per_epoch": 20_000},
    "distil": {"temperature": 4.0, "alpha": 0.7},
}
AUDITIONED = {"epochs": 40, "samples_per_epoch": 45_000, "rounds": 1, "round_epochs": 2, "budget": "latency",
              "profile": "cpu", "latency_format": "int8", "branches": True, "joined_worth": [1, 4], "auditions": 12,
              "audition_samples": 25_000}
OWN: dict[str, dict[str, Any]] = {
    "clustered": {"prune": {"epochs": 24, "samples_per_epoch": 25_000, "learning_rate": 1e-3,
                            "cluster_scale": "channel", "sensitive_points": 4.0, "sensitivity_samples": 1000}},
    "slim": {"slim": {"epochs": 24, "samples_per_epoch": 25_000}},
    "slim35": {"slim": AUDITIONED},
    "slim50": {"slim": AUDITIONED | {"epochs": 120, "batch_size": 128, "learning_rate": 1e-2, "weight_decay": 0.02,
                                     "statistics_batches": 20, "auditions": 8, "round_epochs": 8,
                                     "round_learning_rate": 3e-3, "trades": 16}},
}
"""Settings of variants with such tokens over those above, whichever the subject.

Quantization-aware training without a teacher sees the samples as they are: on changed ones resnet8 lost 0.8 points,
and none with a teacher.
"""
OWN_OF_IMAGES = {"slim50": {"slim": OWN["slim50"]["slim"] | {
    "augment": {"horizontal_flip": True, "shift": 0.0625, "padding": "edge"}}}}
"""Instead of those, where the samples are images."""
MIXED = {f"mixed, {share:.0%} of int8": share for share in (0.6, 0.7, 0.8)}
"""Further points of `mixed`: by label, the bytes that it may have as a share of int8's."""
LABELED: dict[str, tuple[str, dict[str, Any]]] = {
    "int8, biases corrected": ("int8", {"quantize": {"bias_correction": True}}),
    "int8qat, changed samples": ("int8qat", {}),
    "int8qat, mirrored": ("int8qat", {"quantize": {"augment": {"horizontal_flip": True}}}),
    "int8qat, shifted": ("int8qat", {"quantize": {"augment": {"shift": 0.125, "padding": "zero"}}}),
    "int8qat, shifted, edges repeated": ("int8qat", {"quantize": {"augment": {"shift": 0.125, "padding": "edge"}}}),
    "distilled-int8qat, samples as they are": ("distilled-int8qat", {"quantize": {"augment": {}}}),
    "distilled-int8qat, dropout on": ("distilled-int8qat", {"distil": {"dropout": True}}),
}
"""Variants with other settings of their own than the ones above, by label: (the variant, its sections)."""
VARIANTS = (
    "float32", "float16", "dynamic", "int8", "int8, biases corrected", "int16x8", "int4", "int4-packed", "mixed",
    *MIXED, "int8qat", "distilled-int8qat", "int8-packed",
    "pruned75-int8", "pruned75-int8-packed", "pruned75-int8qat", "pruned75-int8qat-packed", "tutorial-pruned75-int8qat",
    "distilled-pruned75-int8qat-packed", "pruned2of4-int8-packed",
    "clustered16-int8-packed", "clustered16-int8qat-packed", "distilled-clustered9-int8qat-packed",
    "distilled-clustered5-int8-packed", "distilled-clustered5-int8qat-packed", "slim25-int8", "slim40-int8",
    "slim50-int8", "distilled-slim35-int8", "distilled-slim35-int8qat", "distilled-slim50-int8",
    "distilled-slim60-int8", "distilled-slim60-int8qat",
    "distilled-slim25-clustered16-int8qat-packed", "distilled-slim40-clustered16-int8qat-packed",
    "distilled-slim25-pruned50-clustered16-int8qat-packed",
)
TUTORIAL = "tutorial-pruned75-int8qat"


def config(words: argparse.Namespace, variants: list[str], int8_bytes: int = 0) -> dict[str, Any]:
    """The run file of a subject.

    Args:
        words: what was typed: subject, data, model.
        variants: or labels.
        int8_bytes: of the subject's int8, which the sizes of `mixed` are shares of.
    """
    images = {"kind": "image_folder", "path": str(words.data)}
    subjects: dict[str, dict[str, Any]] = {
        "resnet8": {"model": str(words.model), "data": {
            "source": images, "validation_share": 0.1, "allowed_duplicates": 50}},
        "mobilenet": {"model": "mobilenet_v1_025", "data": {
            "source": images | {"size": [96, 96]}, "validation_share": 0.1, "allowed_duplicates": 50}},
        "ds_cnn": {"model": "ds_cnn", "data": {
            "source": {"kind": "audio_folder", "path": str(words.data), "labels_from": r"^(?P<label>\d)_",
                       "front_end": {"sample_rate": 8000, "normalize_clip": "rms", "log_offset": 0.05}},
            "splits": {"test": {"pattern": r"_[0-4]\.wav$"}}, "validation_share": 0.1}},
    }
    augment = {"augment": augmentation(words.subject)}
    trained = {name: given | (augment if name != "distil" else {}) for name, given in SETTINGS.items()}
    entries = [{"name": named(name), **own(name, words.subject, int8_bytes)} for name in variants]
    return {"name": f"compression-{words.subject}", "profiles": ["cpu"], "variants": entries,
            "evaluate": {"engines": ["litert"]}, "benchmark": {"engines": ["litert"], "threads": 1},
            **subjects[words.subject], **trained}


def named(label: str) -> str:
    """The variant behind a label."""
    return "mixed" if label in MIXED else LABELED[label][0] if label in LABELED else label


def own(label: str, subject: str, int8_bytes: int) -> dict[str, Any]:
    """The sections that a variant has of its own."""
    if label in MIXED:
        return {"quantize": {"mixed": {"budget": round(MIXED[label] * int8_bytes)}}}
    if label in LABELED:
        return LABELED[label][1]
    tokens = OWN if subject in SOUNDS else OWN | OWN_OF_IMAGES
    found = {stage: given for token, sections in tokens.items() if token in label for stage, given in sections.items()}
    return found if "distilled" in label else found | {"quantize": {"augment": {}}}


def augmentation(subject: str) -> dict[str, Any]:
    """Random changes of a subject's training samples."""
    return AUDIO_AUGMENT if subject in SOUNDS else IMAGE_AUGMENT
