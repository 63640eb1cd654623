"""Bar 60: readiness asked for a thousand times a second, with the database gone."""

import re
import socket
import subprocess
import threading
import time

from report import table, verdict

TITLE = "Serve: /ready with the database down, 1000 requests a second"
COMMAND = ("serve",)
THREADS, RATE, SECONDS = 8, 1000, 20


def started(dbops, cluster, *more):
    """A server and its port."""
    child = subprocess.Popen(
        [dbops.path, "serve", "--listen", "127.0.0.1:0", "--database-url", cluster.url("postgres"), *more],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=cluster.home)
    return child, int(re.search(r":(\d+)$", child.stdout.readline().strip())[1])


class Client:
    """One connection that is kept."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def status(self, path):
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: dbops\r\n\r\n".encode())
        said = b""
        while b"\r\n\r\n" not in said or len(said) < self._length(said):
            more = self.socket.recv(65536)
            if not more:
                raise SystemExit("serve closed a connection that was in use")
            said += more
        return int(said[9:12])

    @staticmethod
    def _length(said):
        head, _, _ = said.partition(b"\r\n\r\n")
        return len(head) + 4 + int(re.search(rb"content-length: (\d+)", head.lower())[1])


def asked(port, rate, seconds):
    """Times of requests sent on a schedule, however slow the answers; and their statuses."""
    times, statuses = [], {}
    begin = time.perf_counter() + 0.1

    def work(number):
        client = Client(port)
        for at in range(number, rate * seconds, THREADS):
            due = begin + at / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            sent = time.perf_counter()
            status = client.status("/ready")
            times.append(time.perf_counter() - sent)
            statuses[status] = statuses.get(status, 0) + 1

    workers = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sorted(times), statuses, time.perf_counter() - begin


def wait_for(port, path, status):
    for _ in range(200):
        if Client(port).status(path) == status:
            return
        time.sleep(0.1)
    raise SystemExit(f"{path} did not become {status}")


def connections(cluster, offset):
    return cluster.log_since(offset).count("connection received")


def measure(cluster, dbops):
    if not dbops:
        return "Nothing to compare with."
    cluster.set(log_connections="on")
    # One look, then an hour without: all connections after it would be those of requests.
    child, port = started(dbops, cluster, "--every", "1h")
    wait_for(port, "/ready", 200)
    offset = cluster.log_size()
    asked(port, RATE, 5)
    opened = connections(cluster, offset)
    child.terminate()
    child.wait()
    cluster.set(log_connections=None)

    child, port = started(dbops, cluster, "--every", "1s")
    wait_for(port, "/ready", 200)
    cluster._server("pg_ctl", "-D", cluster.data, "-m", "immediate", "-w", "stop")
    try:
        wait_for(port, "/ready", 503)
        times, statuses, took = asked(port, RATE, SECONDS)
        with open(f"/proc/{child.pid}/status", encoding="utf-8") as status:
            peak = int(re.search(r"VmHWM:\s+(\d+)", status.read())[1]) / 1024
    finally:
        child.terminate()
        child.wait()
        cluster._server("pg_ctl", "-D", cluster.data, "-l", cluster.log, "-w", "start")
    at = lambda part: times[int(len(times) * part)] * 1000
    return table(["requests", "a second", "p50", "p99", "p99.9", "longest", "answers", "peak memory"], [[
        str(len(times)), f"{len(times) / took:.0f}", f"{at(0.5):.2f} ms", f"{at(0.99):.2f} ms", f"{at(0.999):.2f} ms",
        f"{times[-1] * 1000:.1f} ms", ", ".join(f"{n} x {s}" for s, n in statuses.items()), f"{peak:.0f} MB"]]) + "\n\n" + table(
        ["bar", "measured", "verdict"], [
            ["p99 under 5 ms with the database down", f"{at(0.99):.2f} ms", verdict(at(0.99) < 5)],
            ["connections opened by requests: 0", str(opened), verdict(opened == 0)],
        ]) + f"\n\n{THREADS} connections that are kept, each sends on a schedule; the clients are threads of Python, whose own waiting counts."
