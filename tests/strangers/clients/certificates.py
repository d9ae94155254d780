"""Makes two keys with a self-signed certificate each; prints them with their thumbprints as one JSON value."""

import datetime
import json

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa


def make(name):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    pkcs8 = serialization.PrivateFormat.PKCS8
    return {
        "key": key.private_bytes(serialization.Encoding.PEM, pkcs8, serialization.NoEncryption()).decode(),
        "certificate": certificate.public_bytes(serialization.Encoding.PEM).decode(),
        # SHA-1 is what the older form of an assertion names its certificate by.
        "thumbprint": certificate.fingerprint(hashes.SHA1()).hex().upper(),
        "thumbprintSha256": certificate.fingerprint(hashes.SHA256()).hex().upper(),
    }


print(json.dumps({"own": make("strangers.test"), "other": make("other.test")}))
