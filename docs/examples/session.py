"""One WebSocket session through the gate, opened again when the gate ends it. Needs the package websockets.

DIR: where certs/ is. TOKEN: a purpose token. SYSTEM: whose. SESSION: the session's address.
"""

import asyncio
import json
import os
import ssl
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

directory, token, system = os.environ["DIR"], os.environ["TOKEN"], os.environ["SYSTEM"]

tls = ssl.create_default_context(cafile=f"{directory}/certs/ca.pem")
tls.load_cert_chain(f"{directory}/certs/clients/{system}.pem", f"{directory}/certs/clients/{system}.key")


def opening():
    # A session needs a good token when it is opened; take a fresh one for each.
    headers = {"Authorization": f"Bearer {token}", "Accept-Language": "en"}
    return connect(os.environ["SESSION"], ssl=tls, additional_headers=headers, proxy=None)


async def main():
    for _ in range(3):
        try:
            async with opening() as session:
                print("open", session.response.headers["X-Request-Id"])
                await session.send("hello")
                print("came", await session.recv())
                return
        except InvalidStatus as refusal:
            problem = json.loads(refusal.response.body)
            sys.exit(f"{problem['code']}: {problem['detail']} ({problem['request_id']})")
        except ConnectionClosed as end:
            # 1001: the gate restarts, or the session's time was over; again. 1008: something was withdrawn.
            if end.rcvd is None or end.rcvd.code != 1001:
                raise


asyncio.run(main())
