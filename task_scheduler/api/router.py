"""Which of the routes a path belongs to: the same decision on both engines."""

import re
from collections.abc import Iterable, Mapping


class Router:
    """Finds the template of a path; in a template, `{name}` stands for a part between slashes."""

    def __init__(self, templates: Iterable[str]) -> None:
        given = list(templates)
        self._whole = {template for template in given if "{" not in template}
        self._patterns = [
            (re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(template))), template)
            for template in given
            if "{" in template
        ]

    def find(self, path: str) -> tuple[str, Mapping[str, str]] | None:
        """Return the template and the variable parts of a path; None where there is nothing at it.

        A path may begin with two slashes, as it does after a base URL that ends with one.
        """
        if path.startswith("//"):
            path = path.removeprefix("/")
        if path in self._whole:
            return path, {}
        for pattern, template in self._patterns:
            if found := pattern.fullmatch(path):
                return template, found.groupdict()
        return None
