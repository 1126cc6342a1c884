"""The server keeps the contract, whatever is sent to it: every check that Schemathesis has.

FUZZ_EXAMPLES=500 asks 500 times for each operation, --hypothesis-seed=1 (ARGS=) the same again; --url and --secret ask
any deployment instead.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from schemathesis import Case

from tests.fuzz.contract import contract
from tests.fuzz.effort import EXAMPLES
from tests.fuzz.engines import SECRET
from tests.support import given
from tests.support.local_server import LocalServer

pytestmark = pytest.mark.slow

# A page of events, never the stream, which does not end on the local engine and waits for 22 s on AWS.
PAGES: Final = {"Accept": "application/json"}

# Nothing that they are asked with could be wrong.
ANYTHING_GOES: Final = ["/", "/assets/{name}", "/docs", "/health", "/openapi.json"]

VALID: Final = contract(valid=True, examples=EXAMPLES)
WRONG: Final = contract(valid=False, examples=EXAMPLES)


@dataclass(frozen=True)
class Served:
    """A deployment that is asked over the network."""

    url: str
    secret: str | None

    def hold(self, case: Case[Any]) -> None:
        """Ask it, and fail unless it answers as the contract says."""
        headers = PAGES if self.secret is None else {**PAGES, "x-pd-secret": self.secret}
        response = case.call(base_url=self.url, headers=headers)
        while response.status_code == 429:  # a deployment may have a throttle, which is no part of what is tried
            time.sleep(float(response.headers["retry-after"][0]))
            response = case.call(base_url=self.url, headers=headers)
        case.validate_response(response, headers=headers)


@pytest.fixture(scope="module")
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The deployment at --url, or the local server."""
    if url := request.config.getoption("--url"):
        yield Served(url.rstrip("/"), given.secret(request.config))
        return
    with LocalServer(tmp_path_factory.mktemp("fuzz") / "tasks.db", secret=SECRET) as server:
        yield Served(server.url, SECRET)
        assert not server.errors


@VALID.parametrize()
def test_valid_requests_get_responses_of_the_contract(case: Case[Any], served: Served) -> None:
    served.hold(case)


@WRONG.exclude(path=ANYTHING_GOES).parametrize()
def test_invalid_requests_are_rejected(case: Case[Any], served: Served) -> None:
    served.hold(case)
