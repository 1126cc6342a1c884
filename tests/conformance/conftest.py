"""Which deployments the suite runs against: both engines, or the one at --url."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from filelock import FileLock

import emulator
from tests.support import given as given_deployment
from tests.support.api import Api, Deployment
from tests.support.event_log import EventLog, audit
from tests.support.local_server import LocalServer
from tests.support.shared import shared_folder

_LEFT: Final[list[emulator.Deployment]] = []
"""What this process started and others may still use: to forget it would warn of a process that runs."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test once for each deployment."""
    if "deployment" not in metafunc.fixturenames:
        return
    both = ["local", pytest.param("emulator", marks=pytest.mark.emulator)]
    given = [pytest.param("given", marks=pytest.mark.enable_socket)]  # it may be anywhere
    kinds = given if metafunc.config.getoption("--url") else both
    metafunc.parametrize("deployment", kinds, indirect=True, scope="session")


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    secret = "a secret of 32 characters, or so"  # noqa: S105 - of a server that lives for a minute
    with LocalServer(tmp_path_factory.mktemp("local") / "tasks.db", secret=secret) as server:
        yield Deployment(server.url, secret, "local")


@pytest.fixture(scope="session")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """With IAM enforced, so that each function has no more than its own role gives it.

    One for all test processes: the first that needs it starts it, and it ends with the last one, however that ends,
    as each of them has opened its lifeline.
    """
    announced = shared_folder(tmp_path_factory) / "emulator.json"
    with FileLock(announced.with_suffix(".lock")):
        try:
            there = json.loads(announced.read_text())
            lifeline = os.open(there["lifeline"], os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # there is none yet, or none any more
            there, lifeline = _deploy_for_all(tmp_path_factory)
            announced.write_text(json.dumps(there))
    try:
        with trusted(Path(there["ca"])):
            yield Deployment(there["url"], there["secret"], "emulator")
    finally:
        os.close(lifeline)


def _deploy_for_all(factory: pytest.TempPathFactory) -> tuple[dict[str, str], int]:
    """Deploy into an emulator that lives as long as a lifeline is open; return where it is, and this one's lifeline."""
    from stacks.settings import Settings  # noqa: PLC0415 - the CDK, which takes seconds to import
    from tests.support.synthesis import shared_synthesis  # noqa: PLC0415 - the same

    assembly = shared_synthesis(factory, Settings()).folder
    folder = factory.mktemp("emulator")
    name = str(folder / "lifeline")
    os.mkfifo(name)
    reader = os.open(name, os.O_RDONLY | os.O_NONBLOCK)  # there is no writer yet
    lifeline = os.open(name, os.O_WRONLY)
    os.set_blocking(reader, True)
    deployed = emulator.deploy_and_leave(folder, assembly, lifeline=reader)
    os.close(reader)
    _LEFT.append(deployed)
    there = {"url": deployed.url, "secret": deployed.secret, "ca": str(deployed.authority), "lifeline": name}
    return there, lifeline


@pytest.fixture(scope="session")
def given(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    with trusted(request.config.getoption("--ca")):
        yield Deployment(request.config.getoption("--url"), given_deployment.secret(request.config), "given")


@contextmanager
def trusted(authority: Path | None) -> Iterator[None]:
    """Trust a certificate, in this process and in the programs that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS") if authority else ():
            patch.setenv(variable, str(authority))
        yield


@pytest.fixture(scope="session")
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """The one under test; its server is a fixture of its own, so that it starts once in any order."""
    fixtures = {"local": "local", "emulator": "emulated", "given": "given"}
    found: Deployment = request.getfixturevalue(fixtures[request.param])
    return found


@pytest.fixture(scope="session")
def session(deployment: Deployment) -> Iterator[tuple[Api, EventLog]]:
    """A client and the log since it was made; at the end every promise made to it is looked at again."""
    api = Api(deployment)
    log = EventLog(api)
    yield api, log
    audit(api, log)
    api.http.close()


@pytest.fixture
def api(session: tuple[Api, EventLog]) -> Api:
    return session[0]


@pytest.fixture
def log(session: tuple[Api, EventLog]) -> EventLog:
    return session[1]
