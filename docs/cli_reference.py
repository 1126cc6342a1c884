"""Makes the reference of the command line from the Typer app itself."""

from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, Final, get_args

import typer
import typer.main

from docs.markdown import table

PROGRAM: Final = "task-scheduler"
_WORDS: Final[Mapping[type, str]] = {str: "text", int: "number", float: "number", Path: "path"}


def cli_reference(app: typer.Typer) -> str:
    """Return a section for each command, and one for the options that come before it."""
    group = typer.main.get_group(app)
    parts = ["### Before the command", _parameters(group)]
    for name, command in _commands(group):
        parts += [f"### {PROGRAM} {name}", _help(command), _usage(name, command), _parameters(command)]
    epilog = " ".join((group.epilog or "").split())
    return "\n\n".join(part for part in (*parts, epilog) if part)


def _commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - Typer's own classes have no public names
    for name, command in group.commands.items():
        if not command.hidden:
            yield f"{prefix}{name}", command


def _help(command: Any) -> str:  # noqa: ANN401 - the same
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in (command.help or "").split("\n\n"))


def _usage(name: str, command: Any) -> str:  # noqa: ANN401 - the same
    words = [PROGRAM, name]
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            word = f"{_value(parameter)}{'...' if parameter.nargs == -1 else ''}"
            words.append(word if parameter.required else f"[{word}]")
    return f"```console\n$ {' '.join([*words, '[OPTIONS]'])}\n```"


def _parameters(command: Any) -> str:  # noqa: ANN401 - the same
    rows = [_row(parameter) for parameter in command.params if not getattr(parameter, "hidden", False)]
    return table(("option", "value", "default", "does"), rows) if rows else ""


def _row(parameter: Any) -> tuple[str, str, str, str]:  # noqa: ANN401 - the same
    if parameter.param_type_name == "argument":
        names = f"`{_value(parameter)}`"
    else:
        names = ", ".join(f"`{option}`" for option in (*parameter.opts, *parameter.secondary_opts))
    variables = [parameter.envvar] if isinstance(parameter.envvar, str) else list(parameter.envvar or ())
    # A help that names its variable for people at the terminal need not say so twice.
    given = [f"Or by `{variable}`." for variable in variables if variable not in (parameter.help or "")]
    does = " ".join([_sentence(parameter.help or ""), *given]).strip()
    return names, _kind(parameter), _default(parameter), does


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if not text or text.endswith((".", ":", "?", "!")) else f"{text}."


def _value(parameter: Any) -> str:  # noqa: ANN401 - the same
    return str(parameter.metavar or parameter.name.upper()).strip("[].")


def _kind(parameter: Any) -> str:  # noqa: ANN401 - the same
    if getattr(parameter, "is_flag", False):
        return ""
    kinds = [kind for kind in (get_args(_annotation(parameter)) or (_annotation(parameter),)) if kind is not NoneType]
    kind = kinds[0]
    if isinstance(kind, type) and issubclass(kind, Enum):
        word = " or ".join(f"`{member.value}`" for member in kind)
    else:
        option = parameter.param_type_name == "option"
        word = str((parameter.metavar if option else None) or _WORDS.get(kind, "text"))
    if parameter.min is not None and parameter.max is not None:
        word += f", {parameter.min:,} to {parameter.max:,}"
    many = parameter.multiple or parameter.nargs == -1
    return f"{word}; may be repeated" if many else word


def _annotation(parameter: Any) -> Any:  # noqa: ANN401 - the same
    return parameter.type_descriptor.annotation


def _default(parameter: Any) -> str:  # noqa: ANN401 - the same
    if parameter.required:
        return "must be given"
    default = parameter.default
    if default is None or default is False or callable(default) or default in ([], ()):
        return ""
    return f"`{default.value if isinstance(default, Enum) else default}`"
