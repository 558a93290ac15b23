"""The profiles, as data: how often an element stands, which codes it may hold, which references must be contained.

MHD 4.2 (https://profiles.ihe.net/ITI/MHD/artifacts.html) and PDSm 3.1 on top of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from fhir_server.fhir.json import Json, JsonObject
from fhir_server.fhir.messages import Told
from fhir_server.validation.messages import told

MHD: Final = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/"
PDSM: Final = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/"
LIST_TYPES: Final = "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes"
SUBMISSION_SET: Final = "submissionset"
FOLDER: Final = "folder"
IS_ARCHIVED: Final = f"{PDSM}pdsm-ext-is-archived"
EXTENSIONS: Final = {
    "designationType": f"{MHD}ihe-designationType",
    "sourceId": f"{MHD}ihe-sourceId",
    "isArchived": IS_ARCHIVED,
}
"""The extensions whose number a profile limits, by the name its slice has."""
VALUES: Final = {
    IS_ARCHIVED: "valueBoolean",
    EXTENSIONS["designationType"]: "valueCodeableConcept",
    EXTENSIONS["sourceId"]: "valueIdentifier",
    f"{MHD}ihe-intendedRecipient": "valueReference",
    f"{PDSM}pdsm-ext-intended-recipient": "valueReference",
}
"""What the extensions of the guides hold."""

MANY: Final = 1_000_000
NONE: Final = (0, 0)
MAYBE: Final = (0, 1)
ONE: Final = (1, 1)
SOME: Final = (1, MANY)


@dataclass(frozen=True, slots=True)
class Profile:
    """What a profile asks, all that its parents ask included."""

    url: str
    type: str
    counts: Mapping[str, tuple[int, int]]
    """By path below the type, least and most. ``extension:name`` and ``identifier:use`` count a slice."""
    codes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By path, the codes that may stand there."""
    contained: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Paths of references to what the resource itself contains, and the types it may be of; none is any."""
    items: frozenset[str] = frozenset()
    """What the entries of a List may refer to."""
    list_type: str | None = None
    """The code of a List."""
    is_french: bool = False
    """One of PDSm: the code lists of the DMP bind."""
    is_stored: bool = False
    """It is asked of what is there already."""

    @property
    def name(self) -> Told:
        """As a sentence names it."""
        name = self.url.rpartition("/")[2]
        return told("stored", profile=name) if self.is_stored else Told(name, name)

    def of_stored(self) -> Profile:
        """What it asks of a document that is there: what was brought along lies beside it now."""
        if self.counts.get("content.attachment.data") != ONE:
            return self
        counts = {path: most for path, most in self.counts.items() if path != "identifier:official"}
        counts |= {"content.attachment.data": NONE, "content.attachment.url": ONE}
        codes = {**self.codes, "status": MINIMAL.codes["status"]}
        return replace(self, is_stored=True, counts=counts, codes=codes)


def _of(
    url: str,
    parent: Profile,
    counts: Mapping[str, tuple[int, int]],
    *,
    codes: Mapping[str, frozenset[str]] | None = None,
    contained: Mapping[str, frozenset[str]] | None = None,
    is_french: bool = False,
) -> Profile:
    return Profile(
        url,
        parent.type,
        {**parent.counts, **counts},
        {**parent.codes, **(codes or {})},
        {**parent.contained, **(contained or {})},
        parent.items,
        parent.list_type,
        is_french,
    )


_ANY: Final[frozenset[str]] = frozenset()

# https://profiles.ihe.net/ITI/MHD/StructureDefinition-IHE.MHD.Minimal.DocumentReference.html and those beside it

MINIMAL: Final = Profile(
    f"{MHD}IHE.MHD.Minimal.DocumentReference",
    "DocumentReference",
    {
        "modifierExtension": NONE,
        "masterIdentifier": ONE,
        "masterIdentifier.system": ONE,
        "masterIdentifier.value": ONE,
        "status": ONE,
        "docStatus": NONE,
        "category": MAYBE,
        "content": ONE,
        "content.attachment.contentType": ONE,
        "content.attachment.data": NONE,
        "content.attachment.url": ONE,
    },
    {"status": frozenset({"current", "superseded"})},
)
UNCONTAINED: Final = _of(
    f"{MHD}IHE.MHD.UnContained.Comprehensive.DocumentReference",
    MINIMAL,
    {
        "type": ONE,
        "category": ONE,
        "subject": ONE,
        "securityLabel": SOME,
        "content.attachment.language": ONE,
        "content.attachment.creation": ONE,
        "content.format": ONE,
        "context": ONE,
        "context.facilityType": ONE,
        "context.practiceSetting": ONE,
        "context.sourcePatientInfo": ONE,
    },
)
COMPREHENSIVE: Final = _of(
    f"{MHD}IHE.MHD.Comprehensive.DocumentReference",
    UNCONTAINED,
    {},
    contained={"author": _ANY, "authenticator": _ANY, "context.sourcePatientInfo": frozenset({"Patient"})},
)
SIMPLIFIED: Final = Profile(
    f"{MHD}IHE.MHD.SimplifiedPublish.DocumentReference",
    "DocumentReference",
    {
        "modifierExtension": NONE,
        "masterIdentifier": ONE,
        "masterIdentifier.system": ONE,
        "masterIdentifier.value": ONE,
        "identifier:official": NONE,
        "status": ONE,
        "docStatus": NONE,
        "category": MAYBE,
        "subject": ONE,
        "content": ONE,
        "content.attachment.contentType": ONE,
        "content.attachment.data": ONE,
        "content.attachment.url": NONE,
    },
    {"status": frozenset({"current"})},
)
PDSM_COMPREHENSIVE: Final = _of(
    f"{PDSM}pdsm-comprehensive-document-reference",
    COMPREHENSIVE,
    {
        "contained": SOME,
        "extension:isArchived": MAYBE,
        "identifier:official": MAYBE,
        "date": ONE,
        "author": SOME,
        "custodian": ONE,
        "content.attachment.size": ONE,
        "content.attachment.hash": ONE,
        "content.attachment.title": ONE,
        "context.period": ONE,
        "context.period.start": ONE,
    },
    contained={
        "author": frozenset({"Practitioner", "PractitionerRole", "Device", "Patient"}),
        "authenticator": frozenset({"Practitioner", "PractitionerRole", "Organization"}),
    },
    is_french=True,
)
PDSM_SIMPLIFIED: Final = _of(
    f"{PDSM}pdsm-simplified-publish",
    SIMPLIFIED,
    {
        "extension:isArchived": MAYBE,
        "date": ONE,
        "author": SOME,
        "custodian": ONE,
        "content.attachment.title": ONE,
        "context.event": MAYBE,
    },
    is_french=True,
)

# https://profiles.ihe.net/ITI/MHD/StructureDefinition-IHE.MHD.Minimal.SubmissionSet.html and those beside it

_OF_NEITHER: Final = {
    "modifierExtension": NONE,
    "identifier:usual": ONE,
    "code": ONE,
    "encounter": NONE,
    "orderedBy": NONE,
    "note": MAYBE,
    "emptyReason": NONE,
    "entry.flag": NONE,
    "entry.deleted": NONE,
    "entry.date": NONE,
}
_WORKING: Final = {"mode": frozenset({"working"})}

SUBMISSION_MINIMAL: Final = Profile(
    f"{MHD}IHE.MHD.Minimal.SubmissionSet",
    "List",
    {**_OF_NEITHER, "extension:designationType": MAYBE, "extension:sourceId": ONE, "date": ONE},
    _WORKING,
    items=frozenset({"DocumentReference", "List"}),
    list_type=SUBMISSION_SET,
)
SUBMISSION_UNCONTAINED: Final = _of(
    f"{MHD}IHE.MHD.UnContained.Comprehensive.SubmissionSet",
    SUBMISSION_MINIMAL,
    {"subject": ONE, "extension:designationType": ONE},
)
SUBMISSION_COMPREHENSIVE: Final = _of(
    f"{MHD}IHE.MHD.Comprehensive.SubmissionSet", SUBMISSION_UNCONTAINED, {}, contained={"source": _ANY}
)
PDSM_SUBMISSION: Final = _of(
    f"{PDSM}pdsm-submissionset-comprehensive",
    SUBMISSION_COMPREHENSIVE,
    {"contained": SOME, "source": ONE, "extension:isArchived": MAYBE},
    contained={"source": frozenset({"PractitionerRole", "Device", "Patient"})},
    is_french=True,
)
FOLDER_MINIMAL: Final = Profile(
    f"{MHD}IHE.MHD.Minimal.Folder",
    "List",
    {**_OF_NEITHER, "source": NONE},
    _WORKING,
    items=frozenset({"DocumentReference"}),
    list_type=FOLDER,
)
FOLDER_COMPREHENSIVE: Final = _of(
    f"{MHD}IHE.MHD.Comprehensive.Folder",
    FOLDER_MINIMAL,
    {"subject": ONE, "extension:designationType": SOME, "title": ONE},
)
PDSM_FOLDER: Final = _of(
    f"{PDSM}pdsm-folder-comprehensive",
    FOLDER_COMPREHENSIVE,
    {"extension:designationType": ONE, "extension:isArchived": MAYBE, "date": ONE, "entry": SOME},
    is_french=True,
)

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
