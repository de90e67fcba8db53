"""Where an engine worker runs: this host, a machine over ssh, a phone over adb, an emulated Arm core.

`open_target` is the way in; `target` says what every place can do.
"""
