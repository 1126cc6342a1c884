"""A certificate for this machine, for one run: signed by an authority of its own, whose key is not stored."""

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificate:
    """The files of a certificate, as PEM."""

    authority: Path
    """What a client has to trust, and all that it may know."""
    chain: Path
    key: Path


def issue(folder: Path, address: str) -> Certificate:
    """Write a certificate for an IP address into a folder that only its owner may read."""
    certificate = Certificate(folder / "authority.pem", folder / "server.pem", folder / "server.key")
    authority = trustme.CA(organization_name="Task Scheduler emulator, one run")
    server = authority.issue_cert(address)
    authority.cert_pem.write_to_path(certificate.authority)
    for number, part in enumerate(server.cert_chain_pems):
        part.write_to_path(certificate.chain, append=number > 0)
    certificate.key.touch(mode=0o600)
    server.private_key_pem.write_to_path(certificate.key)
    return certificate
