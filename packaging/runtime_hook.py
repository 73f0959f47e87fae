"""What the binary does before its program starts: it finds the machine's certificates, and ends with its loader."""

from __future__ import annotations

import os
import ssl
import sys
from pathlib import Path

CERTIFICATES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora and its kin
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # macOS, Alpine
)


def find_certificates() -> None:
    """Name a bundle of certificate authorities, where the OpenSSL within looks in places that only Debian has."""
    paths = ssl.get_default_verify_paths()
    if not (paths.cafile or paths.capath):
        bundled = str(unpacked / "certifi" / "cacert.pem")
        found = next((path for path in CERTIFICATES if Path(path).is_file()), bundled)
        os.environ[paths.openssl_cafile_env] = found


def end_with_loader() -> None:
    """Die where the process that unpacked the one file is killed, which else would leave us behind, on its port."""
    import ctypes  # noqa: PLC0415  # the folder's launcher is this very process, and does without

    die_with_parent = 1  # PR_SET_PDEATHSIG, prctl(2)
    ctypes.CDLL(None).prctl(die_with_parent, 9)


unpacked = Path(sys._MEIPASS)  # type: ignore[attr-defined]  # noqa: SLF001  # PyInstaller's documented name
find_certificates()
if unpacked.parent != Path(sys.executable).parent and sys.platform == "linux":
    end_with_loader()
