"""The law of the DMP, told a second time: one small decision per act, from the rules R-nn and from access.md.

This is the independent judge of ``fhir_server.consent``: it shares no line, no table and no name with it, and knows no
resource, only words. ``make_consent_table.py`` asks it about each case of the small world and writes the answers down.
Each branch names what it rests on: ``R-nn`` and ``L1111-nn`` are the rules and articles of the reference on the DMP,
"access" and "contract" the decisions taken for this server. A branch that starts with ``assumed`` rests on our reading.
"""

# ruff: noqa: C901, PLR0912 - the law is a list of cases, each branch one of them
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """One situation. Every word is explained in README.md."""

    act: str = "consult"
    target: str = "document"
    requester: str = "doctor"
    mode: str = "normal"
    ground: str = "none"
    block: str = "none"
    label: str = "none"
    author: str = "other"
    emergencies: str = "default"
    history: str = "shown"
    person: str = "adult"
    life: str = "open"
    place: str = "this record"
    document: str = "10/11502-2"

    @property
    def category(self) -> str:
        """Of the document (JDV_J57)."""
        return self.document.partition("/")[0]

    @property
    def type(self) -> str:
        """Of the document (LOINC, TRE_A05)."""
        return self.document.partition("/")[2]


@dataclass(frozen=True, slots=True)
class Answer:
    """Yes or no, what it rests on, and why in a few words."""

    yes: bool
    cites: str
    because: str
    basis: str = "reference"

    def assumed(self) -> Answer:
        """The same answer, said to rest on our reading and not on a sentence of the reference."""
        return replace(self, basis="assumed")


def yes(cites: str, because: str) -> Answer:
    """It is allowed."""
    return Answer(True, cites, because)


def no(cites: str, because: str) -> Answer:
    """It is not."""
    return Answer(False, cites, because)


# Words

HEALTH: Final = frozenset(
    "doctor samu-doctor nurse pharmacist dentist podiatrist physiotherapist dental-assistant".split()
)
"""Professions of the G15: health professionals, who may break the glass."""
OTHERS_OF_J65: Final = frozenset("social-worker psychologist actor-with-role".split())
PROFESSIONALS: Final = HEALTH | OTHERS_OF_J65
NOT_OF_J65: Final = frozenset("unknown-profession insurer".split())
CONTACTS: Final = frozenset("trusted-person emergency-contact".split())
PATIENT_SIDE: Final = frozenset("patient representative carer".split())
MACHINES: Final = frozenset("assurance-maladie device".split())

TREATING: Final = frozenset("medecin-traitant administrator".split())
"""Grounds that give the rights of a médecin traitant."""
CONSULTING: Final = TREATING | frozenset(
    "valid last-day renewed within-default-year given-again structure team-informed team-permitted team-by-structure "
    "team-permitted-again "
    "team-opposed-but-valid".split()
)
"""Grounds that let a professional consult."""
WHY_NOT: Final = {
    "none": ("R-01", "nothing lets him consult"),
    "another": ("R-01", "the authorisation names somebody else"),
    "expired": ("R-01, R-03", "the authorisation has ended"),
    "expired-by-default": ("R-03, contract", "without an end it lasts one year"),
    "not-yet": ("R-01, R-03", "the authorisation has not begun"),
    "revoked": ("R-02, contract", "the patient took the authorisation back"),
    "structure-elsewhere": ("R-06", "the authorised structure is another"),
    "structure-expired": ("R-06, R-03", "the authorisation of the structure has ended"),
    "team-not-informed": ("R-04, R1111-46", "the patient was not told of the team"),
    "team-informed-later": ("R-04, R1111-46", "the patient will be told of the team later"),
    "team-opposed": ("R-04, R1111-46", "the patient opposes the team"),
    "team-ended": ("R-04", "the team is over"),
    "team-left": ("R-04", "he has left the team"),
    "team-of-others": ("R-04", "he is not in the team"),
    "mt-proposed": ("R-24, access §10", "his declaration waits for the patient"),
    "mt-rejected": ("R-24, access §10", "the patient refused his declaration"),
    "mt-withdrawn": ("R-24, contract", "he is no longer the médecin traitant"),
    "administrator-ended": ("R-24", "he is no longer an administrator"),
    "administrator-not-yet": ("R-24", "he is not an administrator yet"),
    "administrator-withdrawn": ("R-24", "the patient withdrew the administrator"),
    "pharmacien-correspondant": ("R-24", "a mark without rights"),
    "sage-femme-referente": ("R-24", "a mark without rights"),
    "naming-in-the-body": ("access §2, R-01", "a name in Patient.generalPractitioner gives no right"),
}
"""Grounds that do not, and what that rests on."""
DELEGATION: Final = {
    "guard": ("A.4, R1111-40", "the legal representative acts for the person"),
    "none": ("A.4, access §2", "no delegation in the record: the token alone is not enough"),
    "inactive": ("A.4, access §2", "the delegation is no longer active"),
    "ended": ("A.4, access §2", "the delegation has ended"),
    "not-yet": ("A.4, access §2", "the delegation has not begun"),
    "of-another": ("A.4, access §2", "the representative in the record is somebody else"),
    "accepted": ("A.4, R-30", "the delegation was accepted and runs"),
    "invited": ("A.4", "an invitation that was not accepted gives nothing"),
    "refused": ("A.4", "the invitation was refused"),
    "left": ("A.4", "the delegation was given back"),
}

SOCIAL_TYPES: Final = frozenset("11490-0 83981-1 88348-8 28653-4 34842-5 BIL_AUTO".split())
WITHHELD_FROM_MOST: Final = frozenset("EXPPAT_1 EXPPAT_3 68599-0 83901-9 80788-3 75496-0 83981-1".split())
SOURCED_FOR_DENTISTS: Final = frozenset("80788-3 75496-0 83981-1 83901-9 68599-0 EXPPAT_3".split())


# The record, the realm, the emergency: what comes before all else


def before(case: Case) -> Answer | None:
    """What refuses whoever asks, or nothing."""
    if case.place == "other realm":
        return no("access §3", "a request stays inside its own realm")
    if case.place == "other record":
        return no("access §5, R-01", "it belongs to another record than the one asked about")
    if case.place == "no record":
        return no("access §2, access §4", "it belongs to no record")
    return None


def life(case: Case) -> Answer | None:
    """What a record that is not open refuses for consulting, feeding and all that changes it."""
    return {
        "open": None,
        "none": no("R-70", "there is no record"),
        "closed": no("R-72, R1111-36", "a closed record is neither consulted nor fed"),
        "archived": no("R-72, R-73, R1111-36", "an archived record is neither consulted nor fed"),
        "erased": no("R-73, R1111-36", "the ten years are over"),
        "opposed": no("R-71, R-74, L1111-13-1", "the person opposes the record"),
        "deceased": no("R-75, L1111-18", "death closes the record"),
        "deceased on a date": no("R-75, L1111-18", "death closes the record"),
    }[case.life]


def emergency(case: Case) -> Answer | None:
    """What refuses a declared emergency, or nothing; the emergency itself needs no authorisation."""
    if case.mode == "normal":
        return None
    if case.requester in ("no-card-doctor", "no-reason-doctor"):
        return no("R-40, access §7", "break the glass needs direct authentication and a reason")
    if case.mode == "ETREAT" and case.requester != "samu-doctor":
        return no("R-42, access §7", "only a regulator of a SAMU handles an emergency call; no silent fall-back")
    if case.mode == "BTG" and case.requester not in HEALTH:
        return no("R-40, L1111-17, access §7", "only a health professional breaks the glass")
    if f"{case.mode}-denied" in case.emergencies:
        rule = "R-42" if case.mode == "ETREAT" else "R-41"
        return no(f"{rule}, L1111-17, R-47", "the patient opposed this emergency, for consulting and feeding")
    return None


# Who is on the patient's side


def delegation(case: Case) -> Answer:
    """Whether the requester of the patient's side acts in this record."""
    if case.requester == "patient":
        return yes("L1111-19", "the holder has direct access")
    if case.requester in CONTACTS:
        return no("A.4", "a declared contact has no access of his own")
    cites, because = DELEGATION[case.ground]
    if case.requester == "representative":
        if case.ground != "guard":
            return no(cites, because)
        if case.life.startswith("deceased"):
            return no("R-75, L1111-18", "death ends the representation")
        if case.person == "adult":
            return no("R-76", "the representation of a minor ends at eighteen")
        if case.person == "protected":
            return yes("R-76, R1111-40, A.4", "a protected adult keeps the representative")
        if case.person == "unknown age":
            return yes("R-76, A.4", "without a birth date the representation goes on").assumed()
        return yes(cites, because)
    return yes(cites, because) if case.ground == "accepted" else no(cites, because)


def patient_side_sees(case: Case) -> Answer:
    """Labels, for the patient, the representative and the carer."""
    acting = delegation(case)
    if not acting.yes:
        return acting
    if case.label == "INVISIBLE_PATIENT":
        return no("R-25", "kept for the consultation that announces it")
    if case.label in ("INVISIBLE_REPRESENTANTS_LEGAUX", "secret"):
        if case.requester == "representative":
            return no("R-26, C.10, L1111-5", "the secret of the minor")
        if case.requester == "carer":
            return no("R-26, R-30", "whom the representative invited does not learn what he may not").assumed()
        return yes("R-26, C.10", "the minor himself sees it")
    if case.label == "secret-lifted" and case.requester == "representative":
        return no("C.10, access §8", "the deposit stays that of a secret session, label or not").assumed()
    if case.label == "MASQUE_PS":
        return yes("R-20", "the mask hides from professionals only")
    return acting


# What a professional reads


def matrix(case: Case) -> Answer:
    """La matrice d'habilitation: profession by category and type; it limits reading and nothing else (C.5, R-47)."""
    profession, category, type = case.requester, case.category, case.type
    if case.target not in ("document", "binary"):
        if profession in OTHERS_OF_J65:
            return no("C.5", "social professions read a few documents only").assumed()
        return yes("C.5", "care professions read structured entries").assumed()
    if profession in ("doctor", "samu-doctor"):
        if type == "ATTEST-RESID":
            return no("C.5, R-47", "doctors read all but the attestation of residence")
        answer = yes("C.5, R-47", "doctors read all but the attestation of residence")
        return answer.assumed() if category == "none" else answer
    if profession in OTHERS_OF_J65:
        if category == "44" or type in SOCIAL_TYPES:
            return yes("C.5", "social professions read plans and liaison letters").assumed()
        return no("C.5", "social professions read little").assumed()
    if category == "none":
        return no("C.5, access §1", "an unknown category is for doctors only").assumed()
    if category == "95":
        return no("C.5", "administrative documents are not for care professions").assumed()
    if profession in ("nurse", "pharmacist"):
        return yes("C.5", "nurses and pharmacists read nearly all")
    if type in WITHHELD_FROM_MOST:
        answer = no("C.5", "withheld from this profession")
        sourced = profession == "dentist" and type in SOURCED_FOR_DENTISTS
        return answer if sourced else answer.assumed()
    if profession == "podiatrist" and type == "15508-5":
        return no("C.5", "podiatrists do not read the report of a delivery")
    return yes("C.5", "this profession reads the majority of documents")


def is_author(case: Case) -> bool:
    """Whether it is of his own hand, or deposited by the structure he works in, in its own name (R-21).

    What a colleague deposited is the colleague's, although both work in the same structure.
    """
    return case.author in ("own", "contained", "structure")


def masked(case: Case) -> Answer | None:
    """What the mask hides from a professional, or nothing."""
    in_history = case.history == "masked" and (case.category == "60" or case.type == "REMB" or case.author == "feeder")
    if case.label != "MASQUE_PS" and not in_history:
        return None
    if case.ground in TREATING and case.mode == "normal":
        return None
    if case.label == "MASQUE_PS" and is_author(case) and not in_history:
        return None
    if case.mode != "normal":
        if "MASKED-permitted" in case.emergencies:
            return None
        held = no("R-46, R-29, access §7", "the mask holds in an emergency unless the patient permitted it")
        return held.assumed() if case.ground in TREATING else held
    if in_history:
        told = no("R-28, R-22", "the care history is masked as a whole")
        return told if case.category == "60" and case.type == "REMB" else told.assumed()
    return no("R-20, R-22", "masked from professionals")


def permitted(case: Case) -> Answer:
    """What lets a professional read this at all, before the matrix and the labels."""
    if case.mode != "normal":
        return yes("R-41" if case.mode == "BTG" else "R-42", "an emergency needs no authorisation, and passes a block")
    if case.block == "blocked":
        return no("R-10, R-14", "blocked, whatever the ground, the site and the author")
    own = own_deposit(case)
    if own is not None:
        return own
    if case.block == "lifted" and case.ground == "valid":
        return no("R-12", "unblocking does not revive the old authorisation")
    if case.block == "lifted" and case.ground in ("team-informed", "structure", "medecin-traitant", "administrator"):
        return no("R-12", "whatever he had before the block, he asks again").assumed()
    if case.ground in CONSULTING and not (case.ground == "medecin-traitant" and case.requester != "doctor"):
        return consulting_ground(case)
    if case.author in ("structure", "contained") and case.target in ("document", "binary", "entry"):
        return no(
            "R-01, R1111-49", "who deposited reads back; a member or a named author needs an authorisation"
        ).assumed()
    if case.ground == "medecin-traitant":
        return no("R-24", "the médecin traitant is a doctor")
    cites, because = WHY_NOT[case.ground]
    return no(cites, because)


def own_deposit(case: Case) -> Answer | None:
    """One reads back what one deposited without an authorisation (R1111-49)."""
    if case.target not in ("document", "binary", "entry"):
        return None
    if case.author == "own":
        return yes("R1111-49, access §8", "what one deposited stays readable without authorisation")
    return None


def consulting_ground(case: Case) -> Answer:
    """Say which ground it is."""
    if case.ground in TREATING:
        return yes("R-20, R-24", "médecin traitant of the DMP, or administrator with the same rights")
    if case.ground == "structure":
        return yes("R-06", "his structure is authorised")
    if case.ground.startswith("team") and case.ground != "team-opposed-but-valid":
        return yes("R-04, R1111-46", "member of the care team, which the patient was told of or permitted")
    if case.ground == "last-day":
        return yes("R-01, access §11", "a date without a time runs to midnight in Paris")
    if case.ground == "within-default-year":
        return yes("R-03, contract", "without an end it lasts one year")
    if case.ground == "team-permitted-again":
        return yes("R-12, R-04", "the team was permitted after the block was lifted")
    if case.ground == "given-again":
        return yes("R-12, R-01", "authorised again after the block was lifted")
    return yes("R-01", "authorised by the patient")


def consult(case: Case) -> Answer:
    """Read a document or an entry of the record."""
    if (who := may_ask(case)) is not None:
        return who
    if (closed := life(case)) is not None:
        return closed
    if case.requester in PATIENT_SIDE:
        return patient_side_sees(case)
    if case.requester == "hospital":
        if case.author in ("own", "structure"):
            return yes("R1111-49, R-21, issue 3 §1", "a publisher reads back what it deposited")
        return no("access §2", "a publisher reads only what it deposited, authorised or not")
    if (refused := emergency(case)) is not None:
        return refused
    ground = permitted(case)
    if not ground.yes:
        return ground
    perimeter = matrix(case)
    if not perimeter.yes:
        return Answer(False, f"{perimeter.cites}, access §1", perimeter.because, perimeter.basis)
    hidden = masked(case)
    if hidden is not None:
        return hidden
    return why_seen(case, ground, perimeter)


def why_seen(case: Case, ground: Answer, perimeter: Answer) -> Answer:
    """Why a professional sees it, with the label's own rule where there is one."""
    cites, because = ground.cites, ground.because
    basis = "assumed" if "assumed" in (ground.basis, perimeter.basis) else "reference"
    if case.label == "MASQUE_PS" and is_author(case):
        cites, because = f"{cites}, R-20, R-21", f"{because}; the author sees his masked document"
    elif case.label == "MASQUE_PS" and case.ground in TREATING and case.mode == "normal":
        cites, because = f"{cites}, R-20", "the médecin traitant sees what is masked"
    elif case.label == "MASQUE_PS":
        cites, because = f"{cites}, R-29, R-46", "the patient permitted what is masked in an emergency"
    elif case.label == "INVISIBLE_PATIENT":
        cites, because = f"{cites}, R-25, R-46", f"{because}; it is hidden from the patient only"
    elif case.label in ("INVISIBLE_REPRESENTANTS_LEGAUX", "secret", "secret-lifted"):
        cites, because = f"{cites}, R-26", f"{because}; it is hidden from the representatives only"
    if case.block == "blocked":
        cites = f"{cites}, R-11"
    return Answer(True, cites, because, basis)


def may_ask(case: Case) -> Answer | None:
    """Who never reads or governs anything, whatever anybody permitted."""
    if case.requester in NOT_OF_J65:
        return no("R-08, L1111-18", "no role of J65: never, even with the person's consent")
    if case.requester in MACHINES:
        return no("R-09", "feeds and never consults")
    if case.requester == "support":
        return no("access §2", "support reads traces only")
    if case.requester in CONTACTS:
        return delegation(case)
    return None


# Depositing and changing


def feed(case: Case) -> Answer:
    """Create a document, or replace one's own (R-05)."""
    if case.requester in NOT_OF_J65:
        return no("R-08, L1111-18", "no role of J65")
    if case.requester == "support":
        return no("access §2", "support reads traces only")
    if case.target not in {"document", "entry"}:
        return no("access §2", "feeding is for the contents of the record only")
    if (closed := life(case)) is not None:
        return closed
    if case.requester in PATIENT_SIDE | CONTACTS:
        acting = delegation(case)
        if not acting.yes:
            return acting
        if case.author not in ("own", "patient"):
            return no("R-50", "on what others deposited, only the mask may change")
        if case.requester == "carer":
            return yes("A.4, R-30", "a carer adds documents")
        return yes("R-50, access §2", "the patient's side deposits documents")
    if (refused := emergency(case)) is not None:
        return refused
    if case.mode != "normal":
        return no("access §2", "an emergency token reads; what is fed is fed in the normal mode, which needs nothing")
    if case.author != "own":
        return no("R-51, R-52", "only its depositor replaces a document")
    if case.requester in MACHINES:
        return yes("R-09, access §2", "it feeds, whatever the patient's consents to professionals")
    if case.block == "blocked":
        return yes("R-05, R-11, R1111-47", "a block does not stop feeding")
    return yes("R-05, R1111-47", "feeding needs no authorisation and no habilitation")


def delete(case: Case) -> Answer:
    """Delete a document, or rewrite one's own as the patient's side does."""
    if (who := may_ask(case)) is not None:
        return who
    if (closed := life(case)) is not None:
        return closed
    if case.requester in PATIENT_SIDE:
        acting = delegation(case)
        if not acting.yes:
            return acting
        if case.author in ("own", "patient"):
            answer = yes("R-50, A.4", "what the patient's side deposited")
            return answer.assumed() if case.requester == "carer" and case.author == "patient" else answer
        return no("R-50", "on what others deposited, only the mask may change")
    if case.mode != "normal":
        return no("access §2", "an emergency is for reading")
    if case.author == "contained":
        return no(
            "R-51, access §2", "the depositor deletes; an author named in a body is a claim of its writer"
        ).assumed()
    if case.author != "own":
        return no("R-51", "only its author deletes a document")
    if case.block == "blocked":
        return no("R-10, access §8, contract", "blocked: his own deposit is as absent to him").assumed()
    return yes("R-05, R-51", "the author deletes his own document, no authorisation needed")


def relabel(case: Case) -> Answer:
    """Mask, unmask, reveal what was invisible, archive (R-20 to R-26, R-52)."""
    if (who := may_ask(case)) is not None:
        return who
    if (closed := life(case)) is not None:
        return closed
    if case.requester in PATIENT_SIDE:
        answer = patient_relabels(case)
        return answer.assumed() if case.requester == "carer" and answer.yes else answer
    if case.requester == "hospital":
        return no("access §2", "a publisher feeds and reads back, nothing else")
    if case.mode != "normal":
        return no("R-44, access §2", "an emergency is for reading")
    if not (seen := consult(case)).yes:
        return seen
    if case.ground in TREATING:
        return yes("R-23, R-24, access §2", "médecin traitant or administrator, on any document")
    if case.act == "archive" and case.author == "own":
        return yes("R-05, R-52", "replacing one's own deposit, archived or not, needs no authorisation")
    if case.ground not in CONSULTING:
        return no("R-23, access §2", "only an authorised professional relabels")
    if case.act == "mask":
        return yes("R-23", "any authorised professional masks at the patient's request")
    if case.author == "own":
        return yes("R-23, R-25, R-26, R-52", "the author, authorised, on his own deposit")
    if is_author(case):
        return no("access §2, R-23", "own deposits only: an author named in a body is a claim of its writer").assumed()
    return no("R-23, R-25, access §2", "on another's document an authorised professional only masks")


def patient_relabels(case: Case) -> Answer:
    """What the patient and the representative change of labels."""
    if not (seen := patient_side_sees(case)).yes:
        return seen
    if case.act in ("mask", "unmask"):
        return yes("R-23, R-50, access §2", "the patient's side masks and unmasks any document it sees")
    if case.act == "archive" and case.author in ("own", "patient"):
        return yes("R-50, access §2", "one's own deposit").assumed()
    return no("R-50, access §2", "on what others deposited, only the mask may change")


# Governing


def write_consent(case: Case) -> Answer:
    """Authorise, block, name, oppose, invite: Consents written by REST."""
    if (who := may_ask(case)) is not None:
        return who
    if case.act == "withdraw-opposition":
        if case.life == "opposed" and case.requester in ("patient", "representative"):
            acting = delegation(case)
            return yes("R-74", "one may change one's mind at any time") if acting.yes else acting
        return no("R-74, access §2", "the person alone takes back the opposition")
    if (closed := life(case)) is not None:
        return closed
    if case.act == "answer-invitation":
        if case.requester == "carer" and case.author == "own" and case.ground in ("invited", "accepted"):
            return yes("A.4", "who is invited answers, and leaves when he likes")
        return no("A.4", "the carer it names answers an invitation, nobody for him")
    if case.requester == "carer":
        return no("R-30, A.4", "a carer manages neither sharing, nor other carers, nor closure")
    if case.requester in PATIENT_SIDE:
        acting = delegation(case)
        return yes("R-02, R-13, contract", "the person's own choice") if acting.yes else acting
    if case.requester == "hospital":
        return no("access §2", "a publisher governs nothing")
    if case.mode != "normal":
        return no("R-44, access §2", "an emergency grants nothing lasting")
    if case.act != "block-a-professional":
        return no("access §10", "a professional writes no Consent, a block by the médecin traitant excepted")
    if case.ground not in TREATING:
        return no("R-13, access §10", "only patient, representative, médecin traitant and administrator block")
    if case.block == "blocked":
        return no("R-10, R-14", "blocked in all his roles")
    return yes("R-13, R-24", "médecin traitant and administrators block for the patient")


def read_consent(case: Case) -> Answer:
    """Read a Consent; ``author`` says whom it names: own (the requester) or other."""
    if (who := may_ask(case)) is not None:
        return who
    if case.life == "opposed" and case.requester in ("patient", "representative"):
        acting = delegation(case)
        return yes("R-74", "the opposition can be read and taken back") if acting.yes else acting
    if (closed := life(case)) is not None:
        return closed
    if case.requester == "carer":
        if case.author == "own" and case.ground in ("invited", "accepted"):
            return yes("A.4", "both sides of a delegation see it, for both may end it")
        acting = delegation(case)
        return yes("R-30", "a carer sees what the patient sees").assumed() if acting.yes else acting
    if case.requester in PATIENT_SIDE:
        acting = delegation(case)
        return yes("L1111-19, access §2", "the holder sees the list of who has access") if acting.yes else acting
    if case.requester == "hospital" or case.mode != "normal":
        return no("access §2", "publishers and emergencies read no Consent")
    ground = permitted(replace(case, author="other"))
    if not ground.yes:
        return ground
    if case.ground in TREATING:
        return yes("R-24, access §2", "the médecin traitant reads the Consents")
    if case.author == "own":
        return yes("access §2", "an authorised professional reads the Consents that name him")
    return no("access §2", "an authorised professional reads only the Consents that name him")


def read_patient(case: Case) -> Answer:
    """Read the Patient resource; it has no label and no matrix."""
    if (who := may_ask(case)) is not None:
        return who
    if case.life in ("closed", "archived", "opposed") and case.requester in ("patient", "representative"):
        acting = delegation(case)
        return yes("R-72, R-73, R-74, issue 3 §1", "the holder keeps Patient and can reopen") if acting.yes else acting
    if (closed := life(case)) is not None:
        return closed
    if case.requester in PATIENT_SIDE:
        return delegation(case)
    if case.requester == "hospital":
        return no("access §2", "a publisher does not read Patient")
    if (refused := emergency(case)) is not None:
        return refused
    return permitted(replace(case, author="other"))


def read_related_person(case: Case) -> Answer:
    """Read a RelatedPerson."""
    if case.requester in PROFESSIONALS and case.ground not in TREATING and case.mode == "normal":
        ground = read_patient(case)
        if ground.yes:
            return no(
                "access §2", "an authorised professional reads of the governing types only what names him"
            ).assumed()
        return ground
    return read_patient(case)


def write_patient(case: Case) -> Answer:
    """Change contact details, close, reopen."""
    if (who := may_ask(case)) is not None:
        return who
    if case.requester in ("patient", "representative"):
        if case.act == "reopen":
            acting = delegation(case)
            return yes("R-73, R1111-36", "a new space at any time brings the archive back") if acting.yes else acting
        if (closed := life(case)) is not None:
            return closed
        acting = delegation(case)
        cites = "R-72, L1111-21" if case.act == "close" else "access §2"
        return yes(cites, "the holder's own choice, or the representative's") if acting.yes else acting
    if case.requester == "carer":
        return no("R-30, A.4", "a carer changes neither contact details nor the life of the record")
    return no("R-72, access §2", "only the holder and the representative do")


# Traces, and questions about access


def read_trace(case: Case) -> Answer:
    """Read a trace; ``author`` says whose act it tells, ``label`` what hides its target."""
    if case.requester == "support":
        return yes("R1111-43, access §2", "the support of the service reads traces")
    if (who := may_ask(case)) is not None:
        return who
    if case.life in ("none", "erased"):
        return no("R-64", "there is no trail, or its time is over").assumed()
    if case.requester in PATIENT_SIDE:
        return patient_reads_trace(case)
    if case.author == "own":
        return yes("R-62, R1111-43", "one reads the traces of one's own acts")
    if case.requester == "hospital" or case.mode != "normal":
        return no("R-62, access §2", "only the traces of one's own acts")
    if case.ground in TREATING:
        if case.block == "blocked":
            return no("R-10, R-14", "blocked in all his roles").assumed()
        return yes("R-62, R-24", "the médecin traitant reads all traces")
    return no("R-62", "another professional reads only the traces of his own acts")


def patient_reads_trace(case: Case) -> Answer:
    """The trail, for the patient's side."""
    if case.requester == "carer":
        return no("R1111-43, access §2", "a carer is not among those who read the trail").assumed()
    acting = delegation(case)
    if not acting.yes:
        return acting
    if case.label == "INVISIBLE_PATIENT":
        return no("R-25, access §9", "withheld until the document is announced")
    if case.requester == "representative" and case.label in ("secret", "secret-lifted"):
        return no("R-63, C.10", "the traces of a secret session are not for the representatives")
    if case.requester == "representative" and case.label == "INVISIBLE_REPRESENTANTS_LEGAUX":
        return no("R-26, access §9", "its target is the secret of the minor")
    return yes("R-61, L1111-19", "the holder sees the traces at any time")


def collect(case: Case) -> Answer:
    """A professional tells that the patient consents: for himself or for a colleague (access §10)."""
    if case.requester == "assurance-maladie" and case.act == "tell-medecin-traitant":
        closed = life(case)
        return yes("access §10, R-24", "the Assurance Maladie names the médecin traitant") if closed is None else closed
    if (who := may_ask(case)) is not None:
        return who
    if case.requester not in PROFESSIONALS:
        return no("R-02, R1111-46", "consent is collected by a professional")
    if case.mode != "normal":
        return no("R-44", "an emergency grants no lasting authorisation")
    if (closed := life(case)) is not None:
        return closed
    if case.block == "blocked":
        return no("R-10, access §10", "never when INTERDIT")
    if case.act == "tell-medecin-traitant":
        if case.requester != "doctor":
            return no("R-24, access §10", "only a doctor declares himself médecin traitant")
        return yes("R-24, access §10", "a doctor declares himself; it waits for the patient")
    return yes("R-02, R1111-46, access §10", "the patient consents, for himself or for a named colleague")


def status(case: Case) -> Answer:
    """Ask whether there is a record, whether it is open, and the state of one's own authorisation (TD0.2)."""
    if (who := may_ask(case)) is not None:
        return who
    if case.requester in PROFESSIONALS:
        return yes("R-01, issue 3 §1", "TD0.2 tells existence, open or closed, and one's own state, never traits")
    if case.requester == "hospital":
        return yes("access §5", "a publisher may know whether a record is open").assumed()
    if case.requester == "carer":
        return no("access §2", "not named, so no: a carer reads Patient").assumed()
    return delegation(case)


def ask_about_access(case: Case) -> Answer:
    """``$access-list`` and ``$explain-access``."""
    if case.requester == "support":
        if case.act == "explain":
            return yes("issue 3 §2", "an auditor may ask it about all")
        return yes("issue 3 §2, R1111-54", "who may ask why about all may ask who").assumed()
    if (who := may_ask(case)) is not None:
        return who
    if case.requester in ("patient", "representative"):
        if (closed := life(case)) is not None:
            return closed
        acting = delegation(case)
        return yes("L1111-19, issue 3 §2", "the person asks about the own record") if acting.yes else acting
    if case.requester == "carer":
        return no("R-30, A.4", "the sharing is not the carer's matter").assumed()
    if case.act == "access-list" and case.ground in TREATING and case.mode == "normal" and case.block == "none":
        if (closed := life(case)) is not None:
            return closed
        return yes("R-24, access §2", "he reads every Consent the list is made of").assumed()
    return no("issue 3 §2, access §2", "not a question for others than the person and the auditor")


def read_directory(case: Case) -> Answer:
    """Read a Practitioner of the directory, of no record."""
    if case.requester in MACHINES | {"support"}:
        return no("access §2, R-09", "no line for the directory")
    if case.requester in NOT_OF_J65:
        return yes("access §2, R-08", "the directory is not the DMP: it is about nobody's health").assumed()
    return yes("access §2", "the directory is read by all who take part")


def conformance(case: Case) -> Answer:
    """A test client: all that the standard allows, in the realm of trials only."""
    if case.place == "other realm":
        return no("access §3", "a request stays inside its own realm")
    if case.act == "collect":
        return no("access §2, access §10", "it writes the Consent itself; it collects nobody's consent").assumed()
    return yes("access §2", "conformance clients do all in the realm of trials")


def judge(case: Case) -> Answer:
    """The answer of the law to one case."""
    if case.requester == "conformance":
        return conformance(case)
    if case.target == "practitioner":
        return read_directory(case)
    if case.target == "unlisted":
        return no("access §2", "a type that no line names is denied")
    if case.act != "feed" and (refused := before(case)) is not None:
        return refused
    if case.act == "consult":
        reader = {"consent": read_consent, "patient": read_patient, "related-person": read_related_person}
        return reader.get(case.target, consult)(case)
    by_act = {
        "feed": feed,
        "delete": delete,
        "edit": delete,
        "read-trace": read_trace,
        **dict.fromkeys(("collect", "tell-medecin-traitant"), collect),
        "status": status,
        "access-list": ask_about_access,
        "explain": ask_about_access,
        "contact-details": write_patient,
        "close": write_patient,
        "reopen": write_patient,
        **dict.fromkeys(("mask", "unmask", "reveal", "archive"), relabel),
    }
    return by_act.get(case.act, write_consent)(case)
