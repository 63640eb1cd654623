"""A PostgreSQL client in few lines: the simple query protocol over a Unix socket, trust only.

The bench needs sessions of its own (an open reader, an observer) whose timing psql would blur.
"""

import contextlib
import socket
import struct


class ServerError(Exception):
    """An ErrorResponse; `code` is the SQLSTATE."""

    def __init__(self, fields):
        self.code = fields.get("C", "")
        super().__init__(f"{self.code}: {fields.get('M', '')} {fields.get('D', '')}".strip())


class Session:
    """One connection; `query` returns the last statement's rows as tuples of text or None."""

    def __init__(self, cluster, database, application_name="bench", user="postgres"):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(f"{cluster.socket_dir}/.s.PGSQL.{cluster.port}")
        self.buffer = b""
        words = ["user", user, "database", database, "application_name", application_name]
        body = struct.pack("!I", 196608) + b"".join(w.encode() + b"\0" for w in words) + b"\0"
        self.socket.sendall(struct.pack("!I", len(body) + 4) + body)
        self.pid = None
        self._until_ready()

    def query(self, sql):
        body = sql.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack("!I", len(body) + 4) + body)
        return self._until_ready()

    def portal(self, sql):
        """Runs one statement by the extended protocol; inside a transaction its portal stays open."""
        text = sql.encode() + b"\0"
        for kind, body in ((b"P", b"\0" + text + struct.pack("!h", 0)), (b"B", b"\0\0" + struct.pack("!hhh", 0, 0, 0)), (b"E", b"\0" + struct.pack("!i", 0)), (b"S", b"")):
            self.socket.sendall(kind + struct.pack("!I", len(body) + 4) + body)
        return self._until_ready()

    def value(self, sql):
        return self.query(sql)[0][0]

    def close(self):
        with contextlib.suppress(OSError):  # the server may have ended the session
            self.socket.sendall(b"X\0\0\0\4")
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _take(self, count):
        while len(self.buffer) < count:
            chunk = self.socket.recv(65536)
            if not chunk:
                raise ConnectionError("the server closed the connection")
            self.buffer += chunk
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def _until_ready(self):
        rows, error = [], None
        while True:
            kind = self._take(1)
            body = self._take(struct.unpack("!I", self._take(4))[0] - 4)
            if kind == b"T":
                rows = []
            elif kind == b"D":
                rows.append(_row(body))
            elif kind == b"K":
                self.pid = struct.unpack("!I", body[:4])[0]
            elif kind == b"E":
                parts = [p.decode() for p in body.split(b"\0") if p]
                error = ServerError({p[0]: p[1:] for p in parts})
                if self.pid is None:  # a refused login ends the connection
                    self.socket.close()
                    raise error
            elif kind == b"Z":
                if error:
                    raise error
                return rows


def _row(body):
    count = struct.unpack("!H", body[:2])[0]
    at, values = 2, []
    for _ in range(count):
        length = struct.unpack("!i", body[at : at + 4])[0]
        at += 4
        values.append(None if length < 0 else body[at : at + length].decode())
        at += max(length, 0)
    return tuple(values)
