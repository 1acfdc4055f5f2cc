"""Sign a request to the API as a partner; prints the fields that curl sends.

python sign_request.py NAME SECRETS_FILE METHOD URL [BODY_FILE] ['Field: value' ...] | curl -H @- ...

Needs only Python. Signs with the last secret of the file. Other programs import `signed_fields` and send the body
unchanged, each attempt signed anew: under the same Idempotency-Key an order is taken once however often it is sent.
Source: RFC 9421 (HTTP message signatures, hmac-sha256) and RFC 9530 (Content-Digest).
"""

import base64
import hashlib
import hmac
import secrets
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit


def signed_fields(
    name: str, secret: bytes, method: str, url: str, body: bytes = b"", fields: dict[str, str] | None = None
) -> dict[str, str]:
    """`fields` with the signature beside them; every one of them is signed."""
    sent = dict(fields or {})
    if body:
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        sent["Content-Digest"] = f"sha-256=:{digest}:"
    parts = urlsplit(url)
    values = {"@method": method, "@path": parts.path or "/", "@query": f"?{parts.query}"}
    values |= {field.lower(): value.strip() for field, value in sent.items()}
    covered = " ".join(f'"{component}"' for component in values)
    nonce = secrets.token_urlsafe(16)
    params = f'({covered});created={int(time.time())};keyid="{name}";nonce="{nonce}";alg="hmac-sha256"'
    base = "\n".join(
        [*(f'"{component}": {value}' for component, value in values.items()), f'"@signature-params": {params}']
    )
    signature = base64.b64encode(hmac.digest(secret, base.encode(), "sha256")).decode()
    return sent | {"Signature-Input": f"sig={params}", "Signature": f"sig=:{signature}:"}


def last_secret(path: Path) -> bytes:
    """The newest secret of a file with one a line."""
    return base64.b64decode(path.read_text().split()[-1])


if __name__ == "__main__":
    name, secrets_file, method, url, *others = sys.argv[1:]
    body = b"".join(Path(one).read_bytes() for one in others if ": " not in one)
    fields = dict(one.split(": ", 1) for one in others if ": " in one)
    for field, value in signed_fields(name, last_secret(Path(secrets_file)), method, url, body, fields).items():
        print(f"{field}: {value}")
