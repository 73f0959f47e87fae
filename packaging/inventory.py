"""What a binary is made of, from the lists of files that PyInstaller puts into it: its SBOM, and its licences.

Every file comes from a Python package, from Octoroute itself, or from the Python and the libraries of the machine that
builds, which on Debian means from one of Debian's packages. On macOS the rest is told file by file.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path
from typing import NamedTuple
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

PROJECT = Path(__file__).parent.parent
SOURCE = "https://github.com/slb350/octoroute"


class Part(NamedTuple):
    """A package, or a library, of which something is in the binary."""

    name: str
    version: str | None
    purl: PackageURL | None
    """The package's name for scanners; None for a lone file."""
    licence: str | None
    """As an SPDX expression, where its maker says it."""
    texts: tuple[Path, ...]
    """Files with its licence."""


class Inventory:
    """The parts of a binary, by name."""

    def __init__(self, files: Iterable[tuple[str, str, str]]) -> None:
        """Find the owners of `files`: entries of PyInstaller's, each with where it comes from in the second place."""
        # What PyInstaller makes itself (base_library.zip) has more of Python's modules in it.
        paths = {os.path.realpath(source) for name, source, _ in files if name != "base_library.zip"}
        # PyInstaller's loader is in every binary, and in no list.
        parts = {python_part(distribution("pyinstaller"))}
        owners = {
            os.path.realpath(str(owner.locate_file(file))): owner
            for owner in distributions()
            for file in owner.files or ()
        }
        for path in paths & owners.keys():
            parts.add(python_part(owners[path]))
        rest = sorted(
            path for path in paths - owners.keys() if not Path(path).is_relative_to(PROJECT.resolve())
        )
        parts.update(debian_parts(rest) if shutil.which("dpkg") else other_parts(rest))
        self.parts = sorted(part for part in parts if part.name != "octoroute")

    def sbom(self) -> str:
        """The software bill of materials, as CycloneDX's JSON. The same parts give the same text."""
        licence = LicenseFactory().make_from_string
        own = python_part(distribution("octoroute"))
        bom = Bom(
            components=[
                Component(
                    name=part.name,
                    version=part.version,
                    type=ComponentType.FILE if part.purl is None else ComponentType.LIBRARY,
                    purl=part.purl,
                    bom_ref=str(part.purl or part.name),
                    licenses=[licence(part.licence)] if part.licence else [],
                )
                for part in self.parts
            ]
        )
        bom.metadata.component = Component(
            name="octoroute",
            version=own.version,
            type=ComponentType.APPLICATION,
            purl=PackageURL("github", "slb350", "octoroute", f"v{own.version}"),
            bom_ref="octoroute",
            licenses=[licence("MIT")],
        )
        bom.register_dependency(bom.metadata.component, bom.components)
        made = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
        bom.metadata.timestamp = datetime.fromtimestamp(made, UTC)
        names = "\n".join(f"{part.name} {part.version}" for part in self.parts)
        bom.serial_number = uuid5(NAMESPACE_URL, f"{SOURCE}\n{own.version}\n{made}\n{names}")
        text: str = JsonV1Dot6(bom).output_as_string(indent=2)
        return f"{text}\n"

    def licences(self) -> str:
        """The licences of all parts, with those that share a text in one place."""
        texts: dict[str, list[Part]] = {}
        for part in self.parts:
            for path in part.texts:
                texts.setdefault(path.read_text(encoding="utf-8", errors="replace").strip(), []).append(part)
        told = [
            "This program contains what is listed here, besides its own code. Each part is under its own licence.\n"
        ]
        told += [f"  {part.name} {part.version or ''}".rstrip() for part in self.parts]
        for text, parts in texts.items():
            names = ", ".join(part.name for part in parts)
            told.append(f"\n{'=' * 78}\n{names}\n{'=' * 78}\n\n{text}")
        return "\n".join(told) + "\n"


def python_part(package: Distribution) -> Part:
    """A package from PyPI."""
    name = re.sub("[-_.]+", "-", package.name).lower()
    texts = sorted(
        str(package.locate_file(file))
        for file in package.files or ()
        if ".dist-info" in file.parts[0] and re.match("LICEN|COPYING|NOTICE", file.name, re.IGNORECASE)
    )
    return Part(
        name,
        package.version,
        PackageURL("pypi", name=name, version=package.version),
        licence_of(package),
        tuple(map(Path, texts)),
    )


def licence_of(package: Distribution) -> str | None:
    """The licence that a package says it is under: an SPDX expression, or in older ones a few words, or a classifier."""
    told = package.metadata
    expressions, words = told.get_all("License-Expression", []), told.get_all("License", [])
    for licence in (*expressions, *words, *classified(told.get_all("Classifier", []))):
        if "\n" not in licence:  # some put the whole text there
            return str(licence)
    return None


def classified(classifiers: Iterable[str]) -> Iterator[str]:
    """The licence in "License :: OSI Approved :: MIT License"."""
    for classifier in classifiers:
        field, *_, licence = classifier.split(" :: ")
        if field == "License":
            yield licence


def debian_parts(paths: Sequence[str]) -> Iterator[Part]:
    """The packages that Debian's own files belong to. A file of none is a part by itself."""
    # Some packages still list as /lib/… what is in /usr/lib.
    spellings = [spelling for path in paths for spelling in (path, path.removeprefix("/usr"))]
    found = _output("dpkg-query", "--search", *spellings)
    owners = {path: package for package, path in re.findall(r"^(\S+): (.*)$", found, re.MULTILINE)}
    packages = set()
    for path in paths:
        owner = owners.get(path) or owners.get(path.removeprefix("/usr"))
        if owner is None:
            yield from file_parts([path])
        else:
            packages.add(owner)
    told = _output(
        "dpkg-query", "--show", "--showformat", "${Package} ${Version} ${Architecture}\n", *packages
    )
    release = platform.freedesktop_os_release()
    for line in told.splitlines():
        name, version, architecture = line.split()
        qualifiers = {"arch": architecture, "distro": f"{release['ID']}-{release['VERSION_ID']}"}
        purl = PackageURL("deb", release["ID"], name, version, qualifiers)
        yield Part(name, version, purl, None, (Path("/usr/share/doc", name, "copyright"),))


def other_parts(paths: Sequence[str]) -> Iterator[Part]:
    """Python itself, where it is no package of Debian's; what belongs to nothing, file by file."""
    home = os.path.realpath(sys.base_prefix)
    rest = [path for path in paths if not Path(path).is_relative_to(home)]
    if len(rest) < len(paths):
        version = platform.python_version()
        text = Path(os.__file__).parent / "LICENSE.txt"
        yield Part(
            "python",
            version,
            PackageURL("generic", name="python", version=version),
            "Python-2.0.1",
            (text,) if text.is_file() else (),
        )
    yield from file_parts(rest)


def file_parts(paths: Iterable[str]) -> Iterator[Part]:
    """Files of which nobody says what they belong to."""
    for path in paths:
        yield Part(Path(path).name, None, None, None, ())


def _output(*command: str) -> str:
    # dpkg-query fails where it does not know a single one of many files, and says the others all the same.
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout  # noqa: S603
