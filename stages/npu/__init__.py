"""Vela, the compiler of Arm's Ethos-U: what it is told, how it is run, and what it says."""


def compiled_name(variant: str, profile: str) -> str:
    """What a variant is called once it is compiled for a profile's NPU: `int8@imx93-ethos-u65`."""
    return f"{variant}@{profile}"


def parts_of(name: str) -> tuple[str, str]:
    """(variant, profile) of such a name."""
    variant, _, profile = name.partition("@")
    return variant, profile
