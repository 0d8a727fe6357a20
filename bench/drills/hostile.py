"""A platform that has turned on the gate: it bombs, hangs and drips, and takes what is uploaded."""

import asyncio
import multiprocessing
import re
import zlib

import proxies

# A gigabyte of blanks in a megabyte of gzip: JSON all the way, if one only waits.
BLANKS = 1 << 30


def bomb():
    packer, parts = zlib.compressobj(9, wbits=31), []
    for part in [b'{"code":0,"data":[', *[b" " * (1 << 20)] * (BLANKS >> 20), b"]}"]:
        parts.append(packer.compress(part))
    return b"".join(parts) + packer.flush()


class Platform:
    def __init__(self):
        self.port, self.process = proxies.free_port(), None
        self.bomb = bomb()

    def start(self):
        serve = lambda: asyncio.run(self._serve())
        self.process = multiprocessing.get_context("fork").Process(target=serve, daemon=True)
        self.process.start()

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.join()

    async def _serve(self):
        server = await asyncio.start_server(self._talk, "127.0.0.1", self.port, backlog=4096)
        await server.serve_forever()

    async def _talk(self, read, write):
        try:
            while True:
                head = (await read.readuntil(b"\r\n\r\n")).decode("latin-1")
                await self._answer(head.split()[1], head, read, write)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            write.close()

    async def _answer(self, path, head, read, write):
        said = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        if path.startswith("/bomb"):
            coded = f"Content-Encoding: gzip\r\nContent-Length: {len(self.bomb)}\r\n\r\n"
            write.write((said + coded).encode() + self.bomb)
        elif path.startswith("/hang"):
            await asyncio.sleep(3_600)
        elif path.startswith("/drip"):
            write.write(f"{said}Content-Length: 1000000\r\n\r\n{{".encode())
            while True:
                write.write(b" ")
                await write.drain()
                await asyncio.sleep(0.5)
        else:
            length = re.search(r"(?i)content-length: (\d+)", head)
            if length:
                await read.readexactly(int(length[1]))
            else:
                while int(size := await read.readuntil(b"\r\n"), 16):
                    await read.readexactly(int(size, 16) + 2)
                await read.readuntil(b"\r\n")
            write.write(f"{said}Content-Length: 23\r\n\r\n".encode() + b'{"code":0,"data":[]}   ')
        await write.drain()
