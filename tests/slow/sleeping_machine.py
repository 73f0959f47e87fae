"""A machine that sleeps: its network card listens for the magic packet, and nothing of it has an address till then.

    python -m tests.slow.sleeping_machine INTERFACE ADDRESS PORT [OPTION OF THE MODEL SERVER …]

Runs in a network namespace of its own, as root. Once woken it boots for a second, takes its address, and starts a
scripted model server.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

ETH_P_ALL = 3
BOOT_SECONDS = 1.0


def main(interface: str, address: str, port: str, *options: str) -> None:
    """Sleep until the packet comes, then serve."""
    mac = bytes.fromhex(Path(f"/sys/class/net/{interface}/address").read_text().strip().replace(":", ""))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as card:
        card.bind((interface, 0))
        sys.stdout.write("asleep\n")
        sys.stdout.flush()
        while b"\xff" * 6 + 16 * mac not in card.recv(65536):
            pass
    sys.stdout.write("woken\n")
    sys.stdout.flush()
    time.sleep(BOOT_SECONDS)
    subprocess.run(["ip", "address", "add", f"{address}/24", "dev", interface], check=True)
    serve = [sys.executable, "-m", "tests.fakes.model_server", "--name", "sleeper"]
    sys.exit(subprocess.run([*serve, "--host", address, "--port", port, *options], check=False).returncode)


if __name__ == "__main__":
    main(*sys.argv[1:])
