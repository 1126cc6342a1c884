"""Makes the reference of the command line from the commands themselves."""

from typing import Any, Final

import click

from docs.markdown import table
from task_scheduler.cli.main import PROGRAM

_WORDS: Final[tuple[tuple[type[click.ParamType[Any]], str], ...]] = (
    (click.types.IntParamType, "number"),
    (click.types.FloatParamType, "number"),
    (click.Path, "path"),
    (click.ParamType, "text"),
)


def cli_reference(app: click.Group) -> str:
    """Return a section for each command, and one for the options that come before it."""
    context = click.Context(app)
    parts = ["### Before the command", _parameters(app)]
    for name in app.list_commands(context):
        command = app.get_command(context, name)
        if command and not command.hidden:
            parts += [f"### {PROGRAM} {name}", _help(command), _usage(name, command), _parameters(command)]
    epilog = " ".join((app.epilog or "").split())
    return "\n\n".join(part for part in (*parts, epilog) if part)


def _help(command: click.Command) -> str:
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in (command.help or "").split("\n\n"))


def _usage(name: str, command: click.Command) -> str:
    words = [PROGRAM, name]
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            word = f"{_value(parameter)}{'...' if parameter.nargs == -1 else ''}"
            words.append(word if parameter.required else f"[{word}]")
    return f"```console\n$ {' '.join([*words, '[OPTIONS]'])}\n```"


def _parameters(command: click.Command) -> str:
    rows = [_row(parameter) for parameter in command.params if not getattr(parameter, "hidden", False)]
    return table(("option", "value", "default", "does"), rows) if rows else ""


def _row(parameter: click.Parameter) -> tuple[str, str, str, str]:
    if isinstance(parameter, click.Argument):
        names = f"`{_value(parameter)}`"
    else:
        names = ", ".join(f"`{option}`" for option in (*parameter.opts, *parameter.secondary_opts))
    variables = [parameter.envvar] if isinstance(parameter.envvar, str) else list(parameter.envvar or ())
    told = parameter.help or ""
    # A help that names its variable for people at the terminal need not say so twice.
    given = [f"Or by `{variable}`." for variable in variables if variable not in told]
    return names, _kind(parameter), _default(parameter), " ".join([_sentence(told), *given]).strip()


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if not text or text.endswith((".", ":", "?", "!")) else f"{text}."


def _value(parameter: click.Parameter) -> str:
    return str(parameter.metavar or (parameter.name or "").upper()).strip("[].")


def _kind(parameter: click.Parameter) -> str:
    if getattr(parameter, "is_flag", False):
        return ""
    kind = parameter.type
    if isinstance(kind, click.Choice):
        word = " or ".join(f"`{choice}`" for choice in kind.choices)
    elif isinstance(parameter, click.Option) and parameter.metavar:
        word = parameter.metavar
    else:
        word = next(word for base, word in _WORDS if isinstance(kind, base))
    if isinstance(kind, click.IntRange) and kind.min is not None and kind.max is not None:
        word += f", {kind.min:,} to {kind.max:,}"
    many = parameter.multiple or parameter.nargs == -1
    return f"{word}; may be repeated" if many else word


def _default(parameter: click.Parameter) -> str:
    if parameter.required:
        return "must be given"
    default = parameter.to_info_dict().get("default")
    return "" if default in (None, False, (), []) else f"`{default}`"
