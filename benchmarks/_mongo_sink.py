"""A process that acknowledges every write of MongoDB's wire protocol."""

import selectors
import socket
import struct
import sys
from typing import Any

import bson

HELLO: dict[str, Any] = {
    "ok": 1,
    "isWritablePrimary": True,
    "helloOk": True,
    "maxBsonObjectSize": 16 * 1024 * 1024,
    "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000,
    "minWireVersion": 0,
    "maxWireVersion": 21,
    "logicalSessionTimeoutMinutes": 30,
}
OP_MSG, OP_QUERY, OP_REPLY = 2013, 2004, 1


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    connections: dict[int, socket.socket] = {}
    chooser = selectors.DefaultSelector()
    chooser.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in chooser.select():
            if key.fileobj is listener:
                connection, _ = listener.accept()
                connections[connection.fileno()] = connection
                chooser.register(connection, selectors.EVENT_READ)
            elif not serve(connections[key.fd]):
                chooser.unregister(key.fd)
                connections.pop(key.fd).close()


def serve(connection: socket.socket) -> bool:
    head = take(connection, 16)
    if len(head) < 16:
        return False
    length, request, _, code = struct.unpack("<iiii", head)
    body = take(connection, length - 16)
    if code == OP_QUERY:
        reply = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(HELLO)
        code = OP_REPLY
    else:
        size = struct.unpack_from("<i", body, 5)[0]
        command = bson.decode(body[5 : 5 + size])
        name = next(iter(command))
        answer = (
            HELLO if name.lower() in {"hello", "ismaster"} else {"ok": 1, "n": 0, "nModified": 0}
        )
        reply = struct.pack("<ib", 0, 0) + bson.encode(answer)
        if struct.unpack_from("<i", body)[0] & 2:  # more to come: no answer is wanted
            return True
    connection.sendall(struct.pack("<iiii", 16 + len(reply), 1, request, code) + reply)
    return True


def take(connection: socket.socket, size: int) -> bytes:
    whole = bytearray()
    while len(whole) < size:
        part = connection.recv(min(1 << 20, size - len(whole)))
        if not part:
            break
        whole += part
    return bytes(whole)


if __name__ == "__main__":
    main()
