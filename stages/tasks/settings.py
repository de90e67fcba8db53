"""What a user may write under `task:`. `task: regression` is short for `task: {kind: regression}`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from device_profiles.errors import with_near_miss
from device_profiles.records import Record
from device_profiles.strictyaml import with_tuples

TaskKind = Literal["classification", "multilabel", "regression", "anomaly"]
OutputKind = Literal["classification", "multilabel", "regression"]

LOSSES: dict[TaskKind, tuple[str, ...]] = {
    "classification": ("crossentropy", "focal"),
    "multilabel": ("crossentropy", "focal"),
    "regression": ("mse", "mae", "huber"),
    "anomaly": ("mse", "mae"),
}
"""Losses by task; the first one is the default ("auto")."""


SCORE_NAMES: dict[str, str] = {
    "classification": "accuracy", "multilabel": "macro F1", "regression": "R2", "anomaly": "ROC AUC"}
"""What a task's score is called; its fall is the drop."""
MEAN_SCORE = "mean score"
"""The score of a model whose outputs have several kinds."""


def score_number(name: str, value: float) -> str:
    """A score for people: shares of right answers in percent, other scores as they are: `98.3 %`, `0.871`."""
    return f"{100 * value:.1f} %" if name == SCORE_NAMES["classification"] else f"{value:.3f}"


def score_text(name: str, value: float) -> str:
    """The same with its name where the number alone does not tell: `98.3 %`, `R2 0.871`."""
    number = score_number(name, value)
    return number if name == SCORE_NAMES["classification"] else f"{name} {number}"


class _Judged(Record):
    """What one output is trained and scored by."""

    kind: TaskKind = Field(default="classification", description=", ".join(LOSSES))
    loss: str = Field(default="auto", description="; ".join(
        f"{kind}: {', '.join(names)}" for kind, names in LOSSES.items()) + "; auto: the first of them")
    metrics: tuple[str, ...] = Field(
        default=(), description="the user's own metrics, package.module:function, called with (y_true, outputs)")
    threshold: float = Field(default=0.5, gt=0, lt=1,
                             description="multilabel: a label is given from this probability on")

    @model_validator(mode="after")
    def _known_loss(self) -> _Judged:
        known = ("auto", *LOSSES[self.kind])
        if self.loss not in known:
            what = f"{self.kind} has no loss '{self.loss}'; allowed: {', '.join(known)}"
            raise ValueError(with_near_miss(what, self.loss, known))
        return self

    @property
    def loss_name(self) -> str:
        """The loss, "auto" resolved."""
        return LOSSES[self.kind][0] if self.loss == "auto" else self.loss


class OutputTask(_Judged):
    """One output of a model with several."""

    kind: OutputKind = Field(default="classification", description="classification, multilabel, regression")
    weight: float = Field(default=1.0, gt=0, description="of this output's loss in the sum")

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, given: Any) -> Any:
        return {"kind": given} if isinstance(given, str) else with_tuples(given)


class TaskSettings(_Judged):
    """What the model is for: how it is trained, scored, and what a drop is."""

    normal_classes: tuple[str, ...] = Field(
        default=(), description="anomaly: classes that count as normal; unset: the one called 'normal'")
    max_fpr: float = Field(default=0.1, gt=0, le=1,
                           description="anomaly: most false alarms, as a share, for the partial AUC and the threshold")
    outputs: dict[str, OutputTask] = Field(
        default_factory=dict, description="for a model with several outputs: the task of each, by the output's name")

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, given: Any) -> Any:
        return {"kind": given} if isinstance(given, str) else with_tuples(given)

    @field_validator("outputs")
    @classmethod
    def _several(cls, outputs: dict[str, OutputTask]) -> dict[str, OutputTask]:
        if len(outputs) == 1:
            raise ValueError("outputs are for a model with two or more; write the task of a single one directly")
        return outputs

    @model_validator(mode="after")
    def _nothing_beside_outputs(self) -> TaskSettings:
        if self.outputs:
            beside = [name for name in ("loss", "metrics", "normal_classes") if name in self.model_fields_set
                      and getattr(self, name) != type(self).model_fields[name].default]
            if beside:
                raise ValueError(f"{beside[0]} stands beside outputs; write it under the output that it is for")
        return self
