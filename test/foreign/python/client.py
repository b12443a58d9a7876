"""A gRPC client on the C core that finds a service over xDS, and calls it until its standard input ends.

    GRPC_XDS_BOOTSTRAP=bootstrap.json python client.py xds:///greeter.shop WORKERS

It prints a line for each call: "ok MILLISECONDS POD" or "failed MILLISECONDS CODE DETAILS".
"""

import sys
import threading
import time

import grpc

PACE = 0.02  # seconds between two calls of a worker
DEADLINE = 2  # seconds of a call
START = 20  # seconds of the first, until the service has been found


def pod(reply: bytes) -> str:
    """The pod in a HelloReply: its second field, a string."""
    at = 0
    while at < len(reply):
        field, length = reply[at] >> 3, reply[at + 1]
        text = reply[at + 2 : at + 2 + length]
        if field == 2:
            return text.decode()
        at += 2 + length
    return "?"


def work(say_hello, ended: threading.Event, print_lock: threading.Lock) -> None:
    while not ended.is_set():
        began = time.monotonic()
        try:
            what, who = "ok", pod(say_hello(b"", timeout=DEADLINE, wait_for_ready=True))
        except grpc.RpcError as error:
            what, who = "failed", f"{error.code().name} {error.details()}"
        took = (time.monotonic() - began) * 1000
        with print_lock:
            print(f"{what} {took:.3f} {who}", flush=True)
        time.sleep(PACE)


def main() -> None:
    target, workers = sys.argv[1], int(sys.argv[2])
    ended, print_lock = threading.Event(), threading.Lock()
    with grpc.insecure_channel(target) as channel:
        say_hello = channel.unary_unary("/helloworld.Greeter/SayHello")
        say_hello(b"", timeout=START, wait_for_ready=True)
        threads = [threading.Thread(target=work, args=(say_hello, ended, print_lock)) for _ in range(workers)]
        for thread in threads:
            thread.start()
        sys.stdin.read()
        ended.set()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
