"""`litesmith inspect FILE.tflite`: what is in a tflite model, which engines take it, C++ for a microcontroller."""

from __future__ import annotations

from pathlib import Path

import click

from device_profiles.errors import UsageError
from pipeline.cli.options import output_options, print_result


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="FILE.tflite")
@click.option("--engines/--no-engines", default=True, show_default=True, help="Load it in every engine.")
@click.option("--profile", "profile_name", metavar="NAME",
              help="A microcontroller's profile: its arena with the kernels of its core, its flash, what TFLM lacks.")
@click.option("--op-resolver", "header", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.h",
              help="Write a C++ header with TFLM's op resolver for this model and the size of its arena.")
@click.option("--c-array", "array", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.cc",
              help="Write the model's bytes as an array too, aligned to 16 bytes; with --op-resolver.")
@click.option("--int8-kernels", is_flag=True,
              help="In the op resolver, take registrations that have int8 kernels alone (builds with CMSIS-NN).")
@output_options
def inspect(path: Path, engines: bool, profile_name: str | None, header: Path | None, array: Path | None,
            int8_kernels: bool, as_json: bool) -> None:
    """Show operators, MACs, parameters, sparsity, types, bytes, arena, and which engines accept the file."""
    from device_profiles.loader import load_profile
    from pipeline.inspection import describe, inspect_file, write_firmware

    if header is None and (array is not None or int8_kernels):
        raise UsageError("--c-array and --int8-kernels without --op-resolver", "--op-resolver FILE.h beside them",
                         f"litesmith inspect {path} --op-resolver model.h --c-array model.cc")
    found = inspect_file(path, engines, load_profile(profile_name) if profile_name else None)
    written = write_firmware(found, header, array, int8=int8_kernels) if header else []
    lines = [*describe(found), *(f"written     {made}" for made in written)]
    print_result(found.model_dump(mode="json"), lines, as_json)
