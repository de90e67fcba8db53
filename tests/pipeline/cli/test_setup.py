from __future__ import annotations

import json


def test_variants_explains_the_grammar_and_names(typed):
    assert "clusteredNN" in typed("variants").out
    done = typed("variants", "pruned75-int8qat")
    assert "75 % of the weights set to zero" in done.out
    assert json.loads(typed("variants", "int8", "--json").out) == {
        "int8": {"int8": "8-bit weights and activations, ranges from a calibration set (post-training)"}}


def test_init_writes_the_commented_run_file_once(typed, tmp_path):
    assert typed("init").code == 0
    text = (tmp_path / "litesmith.yaml").read_text()
    assert text.startswith("# litesmith run file")
    (tmp_path / "litesmith.yaml").write_text("mine")
    done = typed("init")
    assert done.code == 2
    assert "--force" in done.err
    assert (tmp_path / "litesmith.yaml").read_text() == "mine"
    assert typed("init", "--force").code == 0
    assert (tmp_path / "litesmith.yaml").read_text() == text


def test_doctor_starts_every_engine_and_reports_the_machine(typed):
    found = {check["name"]: check for check in json.loads(typed("doctor", "--json").out)}
    assert found["engine litert"]["good"] is True
    assert "cores" in found["machine"]["found"]
    assert found["tensorflow"]["found"] == "2.21.0"


def test_doctor_looks_at_a_target(typed):
    found = {check["name"]: check for check in json.loads(typed("doctor", "--target", "host", "--json").out)}
    assert found["engine litert"]["good"] is True
    done = typed("doctor", "--target", "shs:pi@pi")
    assert done.code == 2
    assert "did you mean 'ssh'" in done.err


def test_doctor_clears_a_target_and_nothing_without_one(typed, monkeypatch):
    from stages.engines.targets.host import HostTarget

    done = typed("doctor", "--clear")
    assert done.code == 2
    assert "--clear without a target" in done.err
    cleared = []
    monkeypatch.setattr(HostTarget, "clear", lambda self: cleared.append(self.name))
    assert "the files that were sent there are gone" in typed("doctor", "--target", "host", "--clear").out
    assert json.loads(typed("doctor", "--target", "host", "--clear", "--json").out) == {"cleared": "host"}
    assert cleared == ["host", "host"]


def test_doctor_installs_the_emulator_and_says_what_it_is(typed, monkeypatch):
    from stages.engines.targets import installing
    from stages.engines.targets.emulator import LAYOUT, About, default_folder

    asked = []

    def install(folder, tell, *, force):
        asked.append((str(folder), force))
        tell("wheels")
        return About(layout=LAYOUT, qemu="7.2", python="3.11.2", packages={"numpy": "1.26.4"}, counts=False)

    monkeypatch.setattr(installing, "install_arm_emulator", install)
    done = typed("doctor", "--install", "arm-emulator", "--force")
    assert "QEMU 7.2, Python 3.11.2, numpy 1.26.4; without gcc there is no counting" in done.out
    assert "wheels" in done.err
    assert json.loads(typed("doctor", "--install", "arm-emulator", "--json").out)["python"] == "3.11.2"
    elsewhere = typed("doctor", "--install", "arm-emulator", "--target", "emulated,folder=/opt/arm")
    assert elsewhere.out.startswith("arm-emulator in /opt/arm: ")
    assert asked == [(str(default_folder()), True), (str(default_folder()), False), ("/opt/arm", False)]
    assert typed("doctor", "--install", "arm-emulator", "--target", "host").code == 2
