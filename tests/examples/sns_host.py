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

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from tests.support.http_server import serving

HOST: Final = "sns.us-east-1.amazonaws.com"
TOPIC: Final = "arn:aws:sns:us-east-1:123456789012:tasks"
_PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def certificate_url(number: int) -> str:
    """Return the URL of a certificate."""
    return f"https://{HOST}/SimpleNotificationService-{number:032x}.pem"


VALID, EXPIRED, ELLIPTIC, MISSING = (certificate_url(number) for number in range(4))
CONFIRM: Final = f"https://{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=abc"


def _certificate(
    name: str, key: _PrivateKey, *, issuer: x509.Certificate | None = None, signer: _PrivateKey, days: int = 1
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    authority = issuer is None
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=30))
        .not_valid_after(datetime.now(UTC) + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=authority,
                crl_sign=authority,
                **dict.fromkeys(
                    ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
                ),
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if not authority:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(signer, hashes.SHA256())


def _pem(*parts: x509.Certificate) -> bytes:
    return b"".join(part.public_bytes(serialization.Encoding.PEM) for part in parts)


class SnsHost:
    """SNS: signs messages, and serves what it signs them with."""

    def __init__(self, folder: Path) -> None:
        authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        root = _certificate("An authority for tests", authority, signer=authority)
        self.authorities = folder / "authorities.pem"
        self.authorities.write_bytes(_pem(root))
        chain = folder / "server.pem"
        chain.write_bytes(
            server.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + _pem(_certificate(HOST, server, issuer=root, signer=authority))
        )
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(chain)
        self._served = {
            VALID: _pem(_certificate("SNS", self._key, signer=self._key)),
            EXPIRED: _pem(_certificate("SNS", self._key, signer=self._key, days=-1)),
            ELLIPTIC: _pem(_certificate("SNS", server, signer=server)),
            CONFIRM: b"<ConfirmSubscriptionResponse/>",
        }
        self.asked: list[str] = []
        self.proxy = ""

    def sign(self, message: dict[str, str], *, version: str = "1") -> bytes:
        """Return the message as SNS posts it."""
        signed = "".join(f"{name}\n{message[name]}\n" for name in sorted(message))
        algorithm = {"1": hashes.SHA1(), "2": hashes.SHA256()}[version]  # noqa: S303 - what SNS does
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
