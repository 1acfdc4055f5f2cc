"""Send an order and wait for its first version: python send_order.py http://127.0.0.1:8080 KEY order.json

Needs only httpx. Whatever happens on the way (no answer, a worker that was killed, Kafka away) the same request is sent
again under the same key, and the order is taken once.
"""

import sys
import time
import uuid
from pathlib import Path

import httpx

TRY_AGAIN = {429, 500, 502, 503, 504}


def send(url: str, key: str, order: bytes) -> httpx.Response:
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Idempotency-Key": str(uuid.uuid4()),  # keep it with the order where this program may be killed as well
        "Prefer": "wait=20",
    }
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        while True:
            try:
                answer = client.post("/v1/orders", content=order)
                if answer.status_code not in TRY_AGAIN:
                    return answer
                time.sleep(float(answer.headers.get("Retry-After", 1)))
            except httpx.TransportError:
                time.sleep(1)


answer = send(sys.argv[1], sys.argv[2], Path(sys.argv[3]).read_bytes())
print(answer.status_code, answer.headers.get("ETag", ""), answer.text)
sys.exit(0 if answer.is_success else 1)
