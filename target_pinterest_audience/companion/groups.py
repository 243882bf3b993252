"""Groups of commands: each line of their help fits into a terminal."""

from __future__ import annotations

import click

from target_pinterest_audience.text.near import nearest
from target_pinterest_audience.text.safe_text import one_line


class CommandGroup(click.Group):
    """A group whose help shows the first sentence of each command in full: click would cut it short."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called.

        Raises:
            UsageError: there is none of that name.
        """
        name = args[0]
        if not ctx.resilient_parsing and self.get_command(ctx, name) is None and not name.startswith("-"):
            msg = f"There is no command `{one_line(name)}`.{self._hint(ctx, name)}"
            raise click.UsageError(msg, ctx)
        return super().resolve_command(ctx, args)

    def _hint(self, ctx: click.Context, name: str) -> str:
        """Return what may be meant by the name of a command that does not exist, with a blank before it."""
        commands = self.list_commands(ctx)
        near = nearest(name, commands)
        if near is not None:
            return f" Did you mean `{near}`?"
        if self.invoke_without_command and "show" in commands:
            return f" `{ctx.command_path} show` shows the one whose id or name follows."
        return f" `{ctx.command_path} --help` shows all commands."

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a line for each command."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        with formatter.section("Commands"):
            formatter.write_dl([(name, _summary(each)) for name, each in commands.items() if each is not None])


def _summary(command: click.Command) -> str:
    """Return the first sentence of a command's help, without the full stop."""
    paragraph = (command.help or "").partition("\n\n")[0]
    return " ".join(paragraph.split()).partition(". ")[0].removesuffix(".")
