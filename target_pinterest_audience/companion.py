"""The command `pinterest-audience`: what people need around the pipeline."""

from __future__ import annotations

import click

from target_pinterest_audience.demo.command import demo
from target_pinterest_audience.emulator.command import emulator


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="target-pinterest-audience")
def main() -> None:
    """Companion of target-pinterest-audience: a demo, and an emulator of Pinterest for your own pipelines."""


main.add_command(demo)
main.add_command(emulator)
