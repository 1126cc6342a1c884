"""A server of event streams that answers each request with the next piece of a script, and ends it."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from tests.support.http_server import serving


class ScriptedStream:
    """What is answered, and what was asked with."""

    def __init__(self, answers: Sequence[Sequence[bytes]]) -> None:
        self._answers = iter(answers)
        self.last_event_ids: list[str | None] = []
        self.url = ""

    @contextmanager
    def listening(self) -> Iterator["ScriptedStream"]:
        """Answer while the block lasts."""
        script = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                script.last_event_ids.append(self.headers["last-event-id"])
                pieces = next(script._answers, None)
                self.send_response(503 if pieces is None else 200)
                self.send_header("content-type", "text/event-stream")
                self.end_headers()
                for piece in pieces or ():
                    self.wfile.write(piece)
                    self.wfile.flush()
                    time.sleep(0.02)  # so that each arrives by itself

        with serving(Handler) as self.url:
            yield self
