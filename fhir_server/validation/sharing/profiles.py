"""The profiles of MHD and PDSm that say what a resource is when documents are shared, by name.

MHD 4.2 (https://profiles.ihe.net/ITI/MHD/artifacts.html) and PDSm 3.1 on top of it. What they ask is in
`profiles/StructureDefinition`, and checked by `validation.profiles`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from fhir_server.fhir.json import Json, JsonObject

MHD: Final = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/"
PDSM: Final = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/"
LIST_TYPES: Final = "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes"
SUBMISSION_SET: Final = "submissionset"
FOLDER: Final = "folder"
IS_ARCHIVED: Final = f"{PDSM}pdsm-ext-is-archived"


@dataclass(frozen=True, slots=True)
class Profile:
    """One of them."""

    url: str
    type: str
    is_french: bool = False
    """One of PDSm: the code lists of the DMP bind."""

    @property
    def name(self) -> str:
        """As a sentence names it."""
        return self.url.rpartition("/")[2]


MINIMAL: Final = Profile(f"{MHD}IHE.MHD.Minimal.DocumentReference", "DocumentReference")
UNCONTAINED: Final = Profile(f"{MHD}IHE.MHD.UnContained.Comprehensive.DocumentReference", "DocumentReference")
COMPREHENSIVE: Final = Profile(f"{MHD}IHE.MHD.Comprehensive.DocumentReference", "DocumentReference")
SIMPLIFIED: Final = Profile(f"{MHD}IHE.MHD.SimplifiedPublish.DocumentReference", "DocumentReference")
PDSM_COMPREHENSIVE: Final = Profile(f"{PDSM}pdsm-comprehensive-document-reference", "DocumentReference", is_french=True)
PDSM_SIMPLIFIED: Final = Profile(f"{PDSM}pdsm-simplified-publish", "DocumentReference", is_french=True)

SUBMISSION_MINIMAL: Final = Profile(f"{MHD}IHE.MHD.Minimal.SubmissionSet", "List")
SUBMISSION_UNCONTAINED: Final = Profile(f"{MHD}IHE.MHD.UnContained.Comprehensive.SubmissionSet", "List")
SUBMISSION_COMPREHENSIVE: Final = Profile(f"{MHD}IHE.MHD.Comprehensive.SubmissionSet", "List")
PDSM_SUBMISSION: Final = Profile(f"{PDSM}pdsm-submissionset-comprehensive", "List", is_french=True)
FOLDER_MINIMAL: Final = Profile(f"{MHD}IHE.MHD.Minimal.Folder", "List")
FOLDER_COMPREHENSIVE: Final = Profile(f"{MHD}IHE.MHD.Comprehensive.Folder", "List")
PDSM_FOLDER: Final = Profile(f"{PDSM}pdsm-folder-comprehensive", "List", is_french=True)

PROFILES: Final = {
    one.url: one
    for one in (
        MINIMAL,
        UNCONTAINED,
        COMPREHENSIVE,
        SIMPLIFIED,
        PDSM_COMPREHENSIVE,
        PDSM_SIMPLIFIED,
        SUBMISSION_MINIMAL,
        SUBMISSION_UNCONTAINED,
        SUBMISSION_COMPREHENSIVE,
        PDSM_SUBMISSION,
        FOLDER_MINIMAL,
        FOLDER_COMPREHENSIVE,
        PDSM_FOLDER,
    )
}


@dataclass(frozen=True, slots=True)
class Provide:
    """A profile of the Bundle of ITI-65, and what its entries are at the least."""

    url: str
    reference: Profile
    """Of a DocumentReference."""
    submission: Profile
    folder: Profile
    is_french: bool = False

    @property
    def name(self) -> str:
        """As a sentence names it."""
        return self.url.rpartition("/")[2]


PROVIDE_MINIMAL: Final = Provide(f"{MHD}IHE.MHD.Minimal.ProvideBundle", MINIMAL, SUBMISSION_MINIMAL, FOLDER_MINIMAL)
PDSM_PROVIDE: Final = Provide(
    f"{PDSM}pdsm-comprehensive-provide-document-bundle",
    PDSM_COMPREHENSIVE,
    PDSM_SUBMISSION,
    PDSM_FOLDER,
    is_french=True,
)
PROVIDES: Final = {
    one.url: one
    for one in (
        PROVIDE_MINIMAL,
        Provide(
            f"{MHD}IHE.MHD.UnContained.Comprehensive.ProvideBundle",
            UNCONTAINED,
            SUBMISSION_UNCONTAINED,
            FOLDER_COMPREHENSIVE,
        ),
        Provide(
            f"{MHD}IHE.MHD.Comprehensive.ProvideBundle", COMPREHENSIVE, SUBMISSION_COMPREHENSIVE, FOLDER_COMPREHENSIVE
        ),
        PDSM_PROVIDE,
    )
}
REQUIRED_BY_THE_DMP: Final = {
    "DocumentReference": (PDSM_COMPREHENSIVE.url, PDSM_SIMPLIFIED.url),
    "Patient": ("https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-patient-ins",),
}
"""By type, profiles of which one is declared and satisfied where the server is that of the DMP."""
PATCH_PARAMETERS: Final = f"{MHD}IHE.MHD.Patch.Parameters"


def declared(resource: JsonObject) -> Iterator[str]:
    """The profiles that a resource says it follows, without versions."""
    meta = resource.get("meta")
    named = meta.get("profile") if isinstance(meta, dict) else None
    for one in named if isinstance(named, list) else []:
        if isinstance(one, str):
            yield one.partition("|")[0]


def list_type(resource: JsonObject) -> str | None:
    """``submissionset`` or ``folder``, of a List of MHD."""
    code = resource.get("code")
    codings = code.get("coding") if isinstance(code, dict) else None
    for coding in codings if isinstance(codings, list) else []:
        if isinstance(coding, dict) and coding.get("system") == LIST_TYPES:
            type = coding.get("code")
            return type if isinstance(type, str) else None
    return None


def carries_data(document: JsonObject) -> bool:
    """Whether a DocumentReference brings its document along, as in ITI-105."""
    contents: Json = document.get("content")
    for content in contents if isinstance(contents, list) else []:
        attachment = content.get("attachment") if isinstance(content, dict) else None
        if isinstance(attachment, dict) and "data" in attachment:
            return True
    return False
