"""An explanation as a human reads it in a minute: the verdict, a table of layers, causes with changes, trials."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from stages.records import Cause, ExplainResult, LayerNoise, Slowness, Trial

if TYPE_CHECKING:
    from device_profiles.records import Figure

_BAR, _MOST_LAYERS, _MOST_CHANGES, _MOST_CAUSES = 8, 12, 3, 6
_HEARD_DB = 1.0  # a fifth less noise
_EQUAL_DB = 100.0  # weights that differ by less differ by the rounding of floats
_NUMBERS = 52  # columns that the numbers and the bar take
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def render(result: ExplainResult, width: int, *, trying: bool = False) -> Iterator[Any]:
    """What rich prints, in order.

    Args:
        result: the explanation.
        width: of the terminal.
        trying: whether changes were to be tried.
    """
    from rich.text import Text

    yield Text(result.summary, style="bold")
    yield Text(_context(result), style="dim")
    yield ""
    yield _layers(result, width)
    yield from (Text(f"! {label} has no counterpart in {result.reference}") for label in result.unmatched)
    yield ""
    yield Text(_fell(result), style="bold")
    yield from _causes(result)
    if not result.causes:
        yield Text("looked at: " + "; ".join(_lower(each) for each in result.looked_at), style="dim")
    if result.trials or trying:
        yield ""
        yield from _trials(result) if result.trials else [Text(f"--try: {_untried(result)}")]
    yield ""
    faster = any(made < plain for made, plain in result.latencies_ms.values())
    yield Text("Why it is not faster still" if faster else "Why it is not faster", style="bold")
    yield from _speeds(result)
    yield from _slow(result.slow)


def _fell(result: ExplainResult) -> str:
    """The heading over the causes: whether it fell at all is measured."""
    if result.drop is None or result.drop.interval is None or result.drop.interval[0] > 0:
        return "Why it fell"
    return f"It did not fall, as far as {result.score_samples:,} samples can show. What makes noise in it"


def _speeds(result: ExplainResult) -> Iterator[Any]:
    """Measured latencies beside float32's."""
    from rich.text import Text

    for engine, (made, plain) in result.latencies_ms.items():
        times = f"{plain / made:.1f} times as fast" if made <= plain else f"{made / plain:.1f} times as slow"
        yield Text(f"{engine} on this host, one thread, in turns: {made:.3g} ms, float32 {plain:.3g} ms: {times} "
                   "(measured)")


def _context(result: ExplainResult) -> str:
    """What was compared, on what."""
    matched = sum(layer.matching == "order" and bool(layer.original) for layer in result.layers)
    by_order = f"; {matched} operators paired by order, as their names differ" if matched else ""
    steps = ", ".join(f"{step.name} {_points(step.drop)}" for step in result.steps)
    scored = f"; {result.score_name} on {result.score_samples:,} validation samples: {steps}" if steps else ""
    noise = "" if result.output_snr_db is None else f"; its outputs are {result.output_snr_db:.1f} dB above their noise"
    return f"against {result.reference} on {result.samples} samples in {result.engine}{scored}{noise}{by_order}"


def _points(figure: Figure) -> str:
    """As in "-0.5 points (-1.2 to +0.1)": what it does to the score."""
    ends = "" if figure.interval is None else f" ({_signed(-figure.interval[1])} to {_signed(-figure.interval[0])})"
    return f"{_signed(-figure.value)} points{ends}"


def _signed(value: float) -> str:
    """With its sign; zero without one."""
    shown = f"{value:+.1f}"
    return "0.0" if shown in ("-0.0", "+0.0") else shown


def _layers(result: ExplainResult, width: int) -> Any:
    """The layers that make the most noise, in the model's order."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("layer", overflow="ellipsis", no_wrap=True, max_width=max(8, width - _NUMBERS))
    for name in ("seen", "made", "weights", "clipped", "range"):
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    table.add_column("share of noise", no_wrap=True)
    loudest = sorted(result.layers, key=lambda each: -each.share)[:_MOST_LAYERS]
    for layer in (each for each in result.layers if each in loudest):
        table.add_row(*_cells(layer))
    if len(result.layers) > _MOST_LAYERS:
        table.add_row(f"and {len(result.layers) - _MOST_LAYERS} that make less")
    return table


def _cells(layer: LayerNoise) -> list[str]:
    """One layer's row; ratios in dB, a dash where nothing differs."""
    ratios = ["-" if value is None or value > _EQUAL_DB else f"{value:.1f}"
              for value in (layer.snr_db, layer.local_db, layer.weight_snr_db)]
    clipped = "-" if not layer.clipped_values else f"{100 * layer.clipped_values:.1f} %"
    used = "-" if layer.range_used is None else f"{100 * layer.range_used:.0f} %"
    return [layer.label, *ratios, clipped, used, f"{100 * layer.share:3.0f} % {_bar(layer.share)}"]


def _bar(share: float) -> str:
    """Eight blocks for all of it, in eighths."""
    eighths = round(share * _BAR * 8)
    return (_EIGHTHS[8] * (eighths // 8) + _EIGHTHS[eighths % 8]).strip().ljust(_BAR)


def _causes(result: ExplainResult) -> Iterator[Any]:
    """Numbered causes with their changes."""
    from rich.text import Text

    if not result.causes:
        yield Text("nothing found that one change would mend")
    for number, cause in enumerate(result.causes[:_MOST_CAUSES], start=1):
        yield Text(f"{number}. {_share(cause)}{cause.found}")
        for change in cause.changes[:_MOST_CHANGES]:
            yield Text(f"   → {change.text}", style="green")
    if len(result.causes) > _MOST_CAUSES:
        yield Text(f"and {len(result.causes) - _MOST_CAUSES} that make less; --json has them")


def _share(cause: Cause) -> str:
    if not cause.share:
        return ""
    return f"{100 * cause.share:.0f} % of the {'noise' if cause.part == 'quantization' else 'points lost'}: "


def _slow(slow: tuple[Slowness, ...]) -> Iterator[Any]:
    """Reasons with where they are from."""
    from rich.text import Text

    if not slow:
        yield Text("nothing found")
    for each in slow:
        yield Text(f"- {each.found} ({each.provenance})")
        yield Text(f"   → {each.change}", style="green")


def _trials(result: ExplainResult) -> Iterator[Any]:
    """Changes that were made: drop before and after, bytes before and after; then what to write for the best."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("change tried", overflow="fold")
    for name in ("points", "won over it", "outputs", "bytes"):
        table.add_column(name, justify="right", no_wrap=True)
    if result.drop:
        table.add_row("as it is", _signed(-result.drop.value), "", _db(result.output_snr_db),
                      f"{result.tflite_bytes:,}")
    for trial in result.trials:
        table.add_row(*_trial_cells(trial))
    yield table
    best = _best(result.trials)
    if best is None:
        yield Text(f"none of them wins anything that the samples can show{_quietest(result)}")
        return
    yield Text(f"the most is won by: {best.change}. In the run file, under variants:")
    yield from (Text(f"  {line}", style="green") for line in best.lines)


def _untried(result: ExplainResult) -> str:
    """Why no change was made although that was asked for."""
    made = [change for cause in result.causes for change in cause.changes if change.can_be_made]
    if not result.causes:
        return "nothing was found that one change would mend, so there is nothing to try"
    if not made:
        return "no setting makes these changes: they are made in the model, or in its data"
    if all(change.costly for change in made):
        return "the changes that settings can make train a model; --try --train makes them"
    return "the changes that settings can make come down to what the variant has already"


def _best(trials: tuple[Trial, ...]) -> Trial | None:
    """The trial that wins most, of those whose gain is above chance."""
    won = [each for each in trials if each.gain and each.gain.value > 0 and (each.gain.interval or (1,))[0] > 0]
    return max(won, key=lambda each: each.gain.value if each.gain else 0.0, default=None)


def _trial_cells(trial: Trial) -> list[str]:
    if trial.drop is None or trial.gain is None:
        return [f"{trial.change}: {trial.message}", "failed", "", "", ""]
    low, high = trial.gain.interval or (trial.gain.value, trial.gain.value)
    won = f"{_signed(trial.gain.value)} ({_signed(low)} to {_signed(high)})"
    return [trial.change, _signed(-trial.drop.value), won, _db(trial.output_snr_db), f"{trial.tflite_bytes or 0:,}"]


def _quietest(result: ExplainResult) -> str:
    """The change that takes most noise off the outputs, where one takes off enough to speak of."""
    best = max((each for each in result.trials if each.output_snr_db is not None),
               key=lambda each: each.output_snr_db or 0.0, default=None)
    if best is None or result.output_snr_db is None or (best.output_snr_db or 0.0) < result.output_snr_db + _HEARD_DB:
        return ""
    return f"; the outputs' noise is least with: {best.change} ({_db(best.output_snr_db)})"


def _db(value: float | None) -> str:
    return "-" if value is None or value > _EQUAL_DB else f"{value:.1f} dB"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
