"""The host sns.us-east-1.amazonaws.com, to which a proxy on loopback leads: its certificates, and confirmations.

It is found by HTTPS_PROXY and believed by SSL_CERT_FILE, so what is tested is the program as people run it.
"""

import json
import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Final

import trustme
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.support.http_server import serving

HOST: Final = "sns.us-east-1.amazonaws.com"
TOPIC: Final = "arn:aws:sns:us-east-1:123456789012:tasks"


def certificate_url(number: int) -> str:
    """Return the URL of a certificate."""
    return f"https://{HOST}/SimpleNotificationService-{number:032x}.pem"


VALID, EXPIRED, ELLIPTIC, MISSING = (certificate_url(number) for number in range(4))
CONFIRM: Final = f"https://{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=abc"


class SnsHost:
    """SNS: signs messages, and serves what it signs them with."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.authorities = folder / "authorities.pem"
        authority.cert_pem.write_to_path(self.authorities)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(HOST).configure_cert(self._tls)
        signer = authority.issue_cert("sns.amazonaws.com", key_type=trustme.KeyType.RSA)
        past = datetime.now(UTC) - timedelta(days=1)
        expired = authority.issue_cert("sns.amazonaws.com", not_after=past, key_type=trustme.KeyType.RSA)
        elliptic = authority.issue_cert("sns.amazonaws.com")
        self._key = load_pem_private_key(signer.private_key_pem.bytes(), None)
        self._served = {
            VALID: signer.cert_chain_pems[0].bytes(),
            EXPIRED: expired.cert_chain_pems[0].bytes(),
            ELLIPTIC: elliptic.cert_chain_pems[0].bytes(),
            CONFIRM: b"<ConfirmSubscriptionResponse/>",
        }
        self.asked: list[str] = []
        self.proxy = ""

    def sign(self, message: dict[str, str], *, version: str = "1") -> bytes:
        """Return the message as SNS posts it."""
        signed = "".join(f"{name}\n{message[name]}\n" for name in sorted(message))
        algorithm = {"1": hashes.SHA1(), "2": hashes.SHA256()}[version]  # noqa: S303 - what SNS does
        assert isinstance(self._key, rsa.RSAPrivateKey)
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), algorithm)
        envelope = {"SignatureVersion": version, "Signature": b64encode(signature).decode(), "SigningCertURL": VALID}
        return json.dumps(message | envelope).encode()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Serve while the block lasts."""
        host = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_CONNECT(self) -> None:
                host.asked.append(self.path)
                self.send_response(200)
                self.end_headers()
                self.connection = host._tls.wrap_socket(self.connection, server_side=True)
                self.rfile.close()
                self.rfile = self.connection.makefile("rb")
                self.wfile = self.connection.makefile("wb", buffering=0)
                self.close_connection = False

            def do_GET(self) -> None:
                url = f"https://{self.headers['host']}{self.path}"
                host.asked.append(url)
                body = host._served.get(url)
                self.send_response(404 if body is None else 200)
                self.send_header("content-length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")
                self.close_connection = True

            def finish(self) -> None:
                super().finish()
                self.connection.close()

        with serving(Handler) as self.proxy:
            yield
