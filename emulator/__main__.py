"""`make deploy-local`: the deployment in the foreground, until Ctrl-C."""

import argparse
import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emulator.deployment import Deployment, deployed
from emulator.process import EmulatorError, free_port
from emulator.tools import BUILD


def main() -> None:
    """Deploy, say where, and wait for the end."""
    parser = argparse.ArgumentParser(prog="python -m emulator", description=__doc__)
    parser.add_argument("--port", type=int, default=4566, help="of 127.0.0.1; 0: any free one")
    parser.add_argument("--auth", default="", metavar="1", help="enforce IAM, over TLS")
    parser.add_argument(
        "--set", action="append", default=[], type=_setting, metavar="NAME=VALUE", help="a setting of the stack"
    )
    parser.add_argument(
        "--announce", type=Path, default=BUILD / "deploy-local.json", metavar="FILE", help="where URL and secret go"
    )
    arguments = parser.parse_args()
    if arguments.auth not in {"", "0", "1"}:
        sys.exit(f"AUTH must be 1, which enforces IAM over TLS, or 0, not {arguments.auth[:80]!r}.")
    auth = arguments.auth == "1"
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]  # a profile of a real account has no business here, and may not exist
    settings = dict(arguments.set)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    _say("Deploying into an AWS emulator on this machine; this takes half a minute or more.")
    try:
        port = free_port(arguments.port)
        arguments.announce.unlink(missing_ok=True)  # one that was left behind would be believed
        with (
            deployed(port=port, settings=settings, auth=auth) as deployment,
            announced(deployment, arguments.announce),
        ):
            deployment.emulator.wait()
            sys.exit(deployment.emulator.account_of_death())
    except EmulatorError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        _say("\nStopped.")


@contextmanager
def announced(deployment: Deployment, file: Path) -> Iterator[None]:
    """Tell people on the terminal, and programs by a file that is complete from its first moment."""
    authority, draft = file.with_suffix(".pem").absolute(), file.with_suffix(".tmp")
    told = {"url": deployment.url, "secret": deployment.secret}
    trust, trusted = [], ""
    if deployment.authority:
        told["ca"] = str(authority)
        trust, trusted = ["--cacert", str(authority)], f"Trust   {authority}\n"
    secret = ["-H", f"x-pd-secret: {deployment.secret}"] if deployment.secret else []
    body = json.dumps({"in": "5s", "message": "hello"})
    curl = shlex.join(["curl", *trust, f"{deployment.url}schedule", *secret, "-d", body])
    try:
        if deployment.authority:
            authority.write_bytes(deployment.authority.read_bytes())
        _say(f"URL     {deployment.url}\nSecret  {deployment.secret or '(none)'}\n{trusted}Try     {curl}")
        _say("Ctrl-C stops it.")
        draft.write_text(json.dumps(told) + "\n")
        draft.replace(file)
        yield
    finally:
        for left in (file, draft, authority):
            left.unlink(missing_ok=True)


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"must be name=value, not {text!r}")
    return name, value


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
