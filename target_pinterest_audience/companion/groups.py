"""Groups of commands: each line of their help fits into a terminal."""

from __future__ import annotations

import click


class CommandGroup(click.Group):
    """A group whose help shows the first sentence of each command in full: click would cut it short."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a line for each command."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        with formatter.section("Commands"):
            formatter.write_dl([(name, _summary(each)) for name, each in commands.items() if each is not None])


def _summary(command: click.Command) -> str:
    """Return the first sentence of a command's help, without the full stop."""
    paragraph = (command.help or "").partition("\n\n")[0]
    return " ".join(paragraph.split()).partition(". ")[0].removesuffix(".")
