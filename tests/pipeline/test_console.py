from __future__ import annotations

import io

from device_profiles.errors import StageError
from pipeline.calls import Plan
from pipeline.console import Console
from pipeline.runner import Outcome
from tests.pipeline.fakes import call


def shown(outcomes, **options):
    """What a console without a terminal prints of some outcomes."""
    stream = io.StringIO()
    with Console(stream, **options) as console:
        console.planned(Plan({o.call.label: o.call for o in outcomes}, {}))
        for outcome in outcomes:
            console.started(outcome.call)
            console.progress(outcome.call, 1, 2, "half")
            console.ended(outcome)
    return stream.getvalue()


def made(label, summary="done", seconds=1.5, warnings=()):
    return Outcome(call(label), "made", None, summary, warnings, seconds)


def test_a_stage_with_one_call_is_one_line_with_its_summary():
    assert shown([made("train", "accuracy 98.5 %")]) == "✓ train          1.5 s  accuracy 98.5 %\n"


def test_a_stage_with_many_calls_is_one_line_once_the_last_is_done():
    text = shown([made("convert:a"), made("convert:b"), Outcome(call("convert:c"), "kept")])
    assert text == "✓ convert        3.0 s  2 made, 1 up to date\n"


def test_verbose_is_a_line_a_call():
    assert len(shown([made("convert:a"), made("convert:b")], verbose=True).splitlines()) == 2


def test_a_stage_that_had_nothing_to_do_prints_nothing():
    assert shown([Outcome(call("train"), "kept")]) == ""


def test_a_failure_is_shown_even_when_quiet():
    error = StageError("operator FOO cannot be converted", next_step="leave it out")
    text = shown([Outcome(call("convert:a"), "failed", error=error)], quiet=True)
    assert "convert:a" in text
    assert "operator FOO" in text
    assert "next: leave it out" in text


def test_brackets_in_a_summary_are_not_markup():
    assert "[1, 8, 8]" in shown([made("train", "shape [1, 8, 8]")])


def test_a_warning_is_shown_once():
    text = shown([made("train", warnings=("few samples",)), made("train", warnings=("few samples",))])
    assert text.count("few samples") == 1


def test_what_python_code_prints_during_a_run_stays_out_of_a_terminal(tmp_path):
    """With a real pseudo-terminal: a progress display would otherwise take over sys.stderr."""
    import os
    import pty
    import subprocess
    import sys
    from pathlib import Path

    code = ("import sys, warnings\nfrom pathlib import Path\nfrom pipeline.chatter import kept_out\n"
            "from pipeline.console import Console\nfrom tests.pipeline.fakes import call\n"
            f"with kept_out(Path({str(tmp_path / 'log.txt')!r})) as (out, err), Console(err) as console:\n"
            "    console.started(call('train'))\n"
            "    warnings.warn('a warning of a library')\n    print('a line of a library')\n"
            "    console.note('a note for the user')\n")
    main, side = pty.openpty()
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], stdout=side, stderr=side, check=True)
    shown = os.read(main, 100_000).decode()
    assert "a note for the user" in shown
    assert "of a library" not in shown
    log = (tmp_path / "log.txt").read_text()
    assert "a warning of a library" in log
    assert "a line of a library" in log
