"""FHIR packages made for tests."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MANIFEST: Final[Mapping[str, Any]] = {"name": "an.example", "version": "1.2.3", "fhirVersions": ["4.0.1"]}
VALUE_SET: Final[dict[str, Any]] = {
    "resourceType": "ValueSet",
    "id": "x",
    "url": "urn:example:vs",
    "status": "active",
    "compose": {"include": [{"system": "urn:example:cs", "concept": [{"code": "a"}]}]},
}


def packed(files: Mapping[str, Any], *, manifest: Mapping[str, Any] | None = MANIFEST) -> bytes:
    """A .tgz with these files in the folder of the package."""
    held = io.BytesIO()
    told = dict(files) if manifest is None else {"package.json": manifest, **files}
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        for name, content in told.items():
            data = content if isinstance(content, bytes) else json.dumps(_present(content)).encode()
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return held.getvalue()


def _present(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if value is not None}
