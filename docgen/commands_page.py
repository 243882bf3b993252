"""The reference of the commands, from their help."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Final

import click

_INTRODUCTION: Final = """\
# Commands

<!-- Written by `python -m docgen` from the commands' own help; change it there. -->

`target-pinterest-audience` is the Singer target: it reads a stream from standard input. `pinterest-audience` is its
companion for people. Each command shows the same text with `--help`. Both programs have the same
[exit codes](../guides/troubleshooting.md#exit-codes).

## Settings of the companion

`--config target.json` may stand before or after the command. So that you need not repeat it, name the file in the
environment:

```sh
export PINTEREST_AUDIENCE_CONFIG=target.json
pinterest-audience lists
```

The variable may name several files, with `:` between them (`;` on Windows). `--config` takes precedence over it.
Without both, the settings come from the environment variables `TARGET_PINTEREST_AUDIENCE_*` and the `.env` in the
working directory.

## Output for scripts

With `--json`, a command prints its result as JSON; [JSON output](json.md) has the words and a schema for each command.
Tables are for people: on a terminal, times are relative, statuses are coloured (unless `NO_COLOR` is set), and a table
that is too wide leaves out columns and names them.

## Names and ids

Where a command takes `ID_OR_NAME`, give either; quote a name that has blanks. If nothing has it, the error suggests the
nearest name. Names are not unique at Pinterest: if several lists have one, the error shows their ids.

## Completion

To have your shell complete commands, options and files with the tab key, add one line to its start-up file:

```sh
eval "$(_PINTEREST_AUDIENCE_COMPLETE=bash_source pinterest-audience)"      # Bash: ~/.bashrc
eval "$(_PINTEREST_AUDIENCE_COMPLETE=zsh_source pinterest-audience)"       # Zsh: ~/.zshrc
_PINTEREST_AUDIENCE_COMPLETE=fish_source pinterest-audience | source       # Fish: ~/.config/fish/config.fish
```
"""

_EXAMPLE: Final = "Example: "


def commands_page(programs: dict[str, click.Command]) -> str:
    """Return the page.

    Args:
        programs: the name of each program → its command or group of commands.
    """
    parts = [_INTRODUCTION]
    for name, program in programs.items():
        parts += [_section(context) for context in contexts(name, program)]
    return "\n".join(parts)


def contexts(name: str, command: click.Command, parent: click.Context | None = None) -> Iterator[click.Context]:
    """Yield a context for a command and for each below it, depth first.

    Args:
        name: the command's name.
        command: the command.
        parent: the context of its group; None for a program.
    """
    context = click.Context(command, info_name=name, parent=parent)
    yield context
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            below = command.get_command(context, each)
            if below is not None and not below.hidden:
                yield from contexts(each, below, context)


def _section(context: click.Context) -> str:
    path, command = context.command_path, context.command
    level = "##" if context.parent is None or context.parent.parent is None else "###"
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    parts = [f"{level} `{path}`\n\n```text\n{usage}\n```"]
    text, examples = _split(command)
    if text:
        parts.append(text)
    if examples:
        parts.append(f"```sh\n{examples}\n```")
    if options := list(_options(context)):
        parts.append("\n".join(["| option | meaning |", "|---|---|", *options]))
    return "\n\n".join(parts) + "\n"


def _split(command: click.Command) -> tuple[str, str]:
    """Return a command's help as Markdown, and its examples."""
    paragraphs = _paragraphs(command.help)
    examples = [" ".join(each.split()) for each in paragraphs if each.startswith(_EXAMPLE)]
    lines = [line.strip() for each in _paragraphs(command.epilog) for line in each.splitlines()]
    examples += [line for line in lines if line != "Examples:" and _about(command, line)]
    text = "\n\n".join(each for each in paragraphs if not each.startswith(_EXAMPLE))
    return _escaped(text), "\n".join(each.removeprefix(_EXAMPLE) for each in examples)


def _paragraphs(text: str | None) -> list[str]:
    """Return the paragraphs of a text that click would print."""
    shown = inspect.cleandoc(text or "").split("\f", 1)[0].replace("\b\n", "")
    return [each.strip() for each in shown.split("\n\n") if each.strip()]


def _about(command: click.Command, line: str) -> bool:
    """Return whether an example shows this command: the examples of a group are repeated in all of its commands."""
    return isinstance(command, click.Group) or f" {command.name} " in f"{line} "


def _options(context: click.Context) -> Iterator[str]:
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option) and "--help" not in parameter.opts:
            names, meaning = record[0].replace("|", " or "), _escaped(" ".join(record[1].split())).replace("|", "\\|")
            yield f"| `{names}` | {meaning} |"


def _escaped(text: str) -> str:
    """Escape what Markdown would read as emphasis or as an escape."""
    return text.replace("\\", "\\\\").replace("*", "\\*")
