"""How a browser reads an event stream: the algorithm of WHATWG HTML, 9.2.6, step by step."""

import codecs
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import strategies as st


@dataclass(frozen=True)
class Message:
    """An event as a listener gets it."""

    type: str
    data: str
    last_event_id: str


@dataclass
class EventSource:
    """Takes bytes as they come, and keeps what a client would know."""

    messages: list[Message] = field(default_factory=list)
    last_event_id: str = ""
    retry_ms: int | None = None

    def __post_init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line = ""
        self._begun = self._after_cr = False
        self._data = self._type = ""
        self._id = self.last_event_id

    def feed(self, piece: bytes) -> None:
        """Read on."""
        text = self._decoder.decode(piece)
        if text and not self._begun:
            self._begun = True
            text = text.removeprefix("\ufeff")
        for character in text:
            if character == "\n" and self._after_cr:
                self._after_cr = False
            elif character in "\r\n":
                self._after_cr = character == "\r"
                self._take(self._line)
                self._line = ""
            else:
                self._after_cr = False
                self._line += character

    def _take(self, line: str) -> None:
        if not line:
            self._dispatch()
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                self._type = value
            elif name == "data":
                self._data += value + "\n"
            elif name == "id" and "\0" not in value:
                self._id = value
            elif name == "retry" and value.isascii() and value.isdigit():
                self.retry_ms = int(value)

    def _dispatch(self) -> None:
        self.last_event_id = self._id
        if self._data:
            self.messages.append(Message(self._type or "message", self._data.removesuffix("\n"), self._id))
        self._data = self._type = ""


def cut(whole: bytes, places: list[int]) -> list[bytes]:
    """Return the pieces of a text that is cut at these places, wherever they fall."""
    edges = sorted({0, len(whole), *(place % (len(whole) + 1) for place in places)})
    return [whole[start:end] for start, end in pairwise(edges)]


CUTS = st.lists(st.integers(0, 10_000), max_size=12)
