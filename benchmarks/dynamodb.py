"""Plays DynamoDB: answers at once with recorded answers, over persistent connections, with or without TLS.

    python -m benchmarks.dynamodb ANSWERS.json [CERTIFICATE.pem]

Prints its port. It runs in a process of its own, so that its processor time is not counted in the measured process.
"""

import json
import socket
import ssl
import sys
import threading
from binascii import crc32
from pathlib import Path

from benchmarks.inside import NOTHING, asked


def main(answers: Path, certificate: str | None = None) -> None:
    known: dict[str, str] = json.loads(answers.read_text())
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        print(server.getsockname()[1], flush=True)
        tls = None
        if certificate:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certificate)
        while True:
            connection, _ = server.accept()
            threading.Thread(target=serve, args=(connection, tls, known), daemon=True).start()


def serve(connection: socket.socket, tls: ssl.SSLContext | None, known: dict[str, str]) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        with tls.wrap_socket(connection, server_side=True) if tls else connection as channel:
            stream = channel.makefile("rb")
            while stream.readline():
                headers = {}
                while (line := stream.readline().strip()) != b"":
                    name, _, value = line.partition(b":")
                    headers[name.strip().lower()] = value.strip()
                body = stream.read(int(headers[b"content-length"]))
                operation = headers[b"x-amz-target"].decode().rpartition(".")[2]
                channel.sendall(answer(operation, body, known))
    except OSError:
        pass  # the function has ended


def answer(operation: str, body: bytes, known: dict[str, str]) -> bytes:
    status, text = b"200 OK", known.get(asked(operation, body), NOTHING.get(operation, ""))
    if not text:
        print(f"Not recorded: {asked(operation, body)}", file=sys.stderr, flush=True)
        status, text = b"400 Bad Request", '{"__type": "NotRecorded"}'
    content = text.encode()
    return (
        b"HTTP/1.1 %s\r\nServer: Server\r\nDate: Sat, 01 Aug 2026 12:00:00 GMT\r\nContent-Type: "
        b"application/x-amz-json-1.0\r\nContent-Length: %d\r\nConnection: keep-alive\r\nx-amzn-RequestId: %s\r\n"
        b"x-amz-crc32: %d\r\n\r\n%s" % (status, len(content), b"A" * 52, crc32(content), content)
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
