"""Write ``consent-table.csv``: every case worth asking about, and the answer of ``consent_law``.

The table is what is reviewed and committed; this program only spares the typing. ``python -m
tests.golden.make_consent_table`` rewrites it; a test compares the two, so that neither changes alone.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from itertools import product
from pathlib import Path
from typing import Final

from tests.golden.consent_law import WHY_NOT, Case, judge

TABLE: Final = Path(__file__).with_name("consent-table.csv")
COLUMNS: Final = [*(field.name for field in fields(Case)), "expected", "cites", "basis", "because"]
ORDINARY: Final = asdict(Case())
ALWAYS: Final = ("act", "target", "requester", "ground")
"""Columns that are written out even where they are ordinary."""

SEEING: Final = (
    "valid last-day renewed within-default-year structure team-informed team-permitted team-by-structure "
    "team-opposed-but-valid medecin-traitant administrator"
).split()
NOT_SEEING: Final = list(WHY_NOT)
LIVES: Final = ["none", "closed", "archived", "erased", "opposed", "deceased"]

GUARD: Final = {"requester": "representative", "ground": "guard", "person": "minor"}
CARER: Final = {"requester": "carer", "ground": "accepted"}
ACTORS: Final[list[dict[str, str]]] = [
    {"requester": "patient"},
    GUARD,
    CARER,
    {"requester": "doctor", "ground": "medecin-traitant"},
    {"requester": "nurse", "ground": "administrator"},
    {"requester": "doctor", "ground": "valid"},
    {"requester": "doctor", "ground": "none"},
    {"requester": "doctor", "ground": "valid", "block": "blocked"},
    {"requester": "doctor", "mode": "BTG"},
    {"requester": "samu-doctor", "mode": "ETREAT"},
    {"requester": "hospital"},
    {"requester": "assurance-maladie"},
    {"requester": "support"},
    {"requester": "conformance"},
    {"requester": "unknown-profession", "ground": "valid"},
]
"""The grid of who: one of each line of the table of access.md, and those who are on no line."""


def cases(**words: str | Iterable[str]) -> Iterator[Case]:
    """All the cases these words make together."""
    lists = [[word] if isinstance(word, str) else list(word) for word in words.values()]
    for chosen in product(*lists):
        yield Case(**dict(zip(words, chosen, strict=True)))


def each(actors: Iterable[dict[str, str]], **words: str | Iterable[str]) -> Iterator[Case]:
    """All the cases of each of these requesters."""
    for actor in actors:
        yield from cases(**{**words, **actor})


def authorisations() -> Iterator[Case]:
    """Every ground, with and without a block, with and without a mask (R-01 to R-14)."""
    yield from cases(ground=SEEING, block=["none", "blocked"], label=["none", "MASQUE_PS"])
    yield from cases(ground=NOT_SEEING)
    yield from cases(ground=["none", "expired", "team-opposed"], block="blocked")
    yield from cases(requester="nurse", ground=[*SEEING, "none", "expired", "team-opposed", "sage-femme-referente"])
    before = ["valid", "structure", "team-informed", "medecin-traitant", "administrator"]
    yield from cases(ground=[*before, "given-again", "team-permitted-again"], block="lifted")
    yield from cases(ground=["none", "valid"], block="of-another")
    yield from cases(requester="dental-assistant", ground=["team-informed", "team-opposed", "team-not-informed"])
    yield from cases(
        requester=["unknown-profession", "insurer"],
        ground=["none", "valid", "structure", "team-informed", "medecin-traitant"],
    )
    yield from cases(target=["entry", "binary"], ground=["none", "valid"], block=["none", "blocked"])
    yield from cases(target=["document", "entry"], ground="valid", place=["other record", "no record", "other realm"])
    yield from cases(target="binary", ground="valid", label=["none", "MASQUE_PS", "INVISIBLE_PATIENT"])


def authors() -> Iterator[Case]:
    """Whose it is (R1111-49, R-20, R-21), against block and mask."""
    mine = ["own", "contained", "structure", "colleague"]
    yield from cases(ground=["none", "valid"], block=["none", "blocked"], label=["none", "MASQUE_PS"], author=mine)
    yield from cases(ground="valid", block="lifted", label=["none", "MASQUE_PS"], author=["own", "structure"])
    yield from cases(ground=["none", "valid"], label=["INVISIBLE_PATIENT", "secret"], author=["own", "other"])
    yield from cases(requester="nurse", ground=["none", "valid"], label=["none", "MASQUE_PS"], author=mine)
    yield from cases(requester="nurse", author="own", document="95/ATTEST-DROITS-AM")
    yield from cases(ground=["expired", "revoked", "team-opposed"], author="own", label=["none", "MASQUE_PS"])
    yield from cases(requester="hospital", author=["own", "other"], label=["none", "MASQUE_PS", "INVISIBLE_PATIENT"])
    yield from cases(requester="hospital", ground=["structure"], author=["own", "other"])
    yield from cases(requester="hospital", author="own", document="95/ATTEST-DROITS-AM")
    yield from cases(requester=["assurance-maladie", "device", "insurer"], author="own")
    yield from cases(target="entry", author=["own", "structure"], block=["none", "blocked"])


def labels() -> Iterator[Case]:
    """Labels against the patient's side and against who treats (R-20 to R-26, C.10)."""
    every = ["none", "MASQUE_PS", "INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX", "secret", "secret-lifted"]
    yield from cases(requester="patient", person=["adult", "minor"], label=every)
    yield from cases(requester="patient", author="own", label=["none", "MASQUE_PS"])
    yield from cases(requester="patient", place=["other record", "other realm"])
    yield from cases(**GUARD, label=every)
    yield from cases(**GUARD, label=["none", "MASQUE_PS"], author=["own", "patient"])
    yield from cases(
        requester="representative",
        person="minor",
        ground=[
            "none",
            "inactive",
            "ended",
            "not-yet",
            "of-another",
        ],
    )
    yield from cases(
        requester="representative",
        ground="guard",
        person=["adult", "protected", "unknown age"],
        label=["none", "secret"],
    )
    yield from cases(**CARER, label=["none", "MASQUE_PS", "INVISIBLE_PATIENT"])
    yield from cases(**CARER, person="minor", label=["INVISIBLE_REPRESENTANTS_LEGAUX", "secret"])
    yield from cases(**CARER, author=["own", "patient"])
    yield from cases(requester="carer", ground=["none", "invited", "refused", "left", "ended", "of-another"])
    yield from cases(requester=["trusted-person", "emergency-contact"], label=["none", "MASQUE_PS"])
    treating = ["medecin-traitant", "administrator"]
    yield from cases(ground=["valid", *treating], label=every, person="minor")
    yield from cases(requester="nurse", ground=["administrator"], label=["none", "MASQUE_PS", "INVISIBLE_PATIENT"])
    yield from cases(requester="conformance", label=every)
    yield from cases(requester="conformance", place="other realm")


def emergencies() -> Iterator[Case]:
    """Who declares which emergency, and what the patient chose (R-29, R-40 to R-47, R-11)."""
    for requester, mode, other in (
        ("samu-doctor", "ETREAT", "BTG"),
        ("doctor", "BTG", "ETREAT"),
        ("nurse", "BTG", "ETREAT"),
    ):
        choices = [
            "default",
            f"{mode}-denied",
            f"{other}-denied",
            "MASKED-permitted",
            f"{mode}-denied MASKED-permitted",
        ]
        yield from cases(requester=requester, mode=mode, emergencies=choices, label=["none", "MASQUE_PS"])
        yield from cases(
            requester=requester, mode=mode, emergencies=choices[:4:3], block="blocked", label=["none", "MASQUE_PS"]
        )
        yield from cases(requester=requester, mode=mode, emergencies=choices[1], block="blocked")
        yield from cases(requester=requester, mode=mode, label=["INVISIBLE_PATIENT", "secret"])
        yield from cases(
            requester=requester, mode=mode, label="MASQUE_PS", block=["none", "blocked"], author=["own", "contained"]
        )
        yield from cases(requester=requester, mode=mode, ground="valid", emergencies=["default", f"{mode}-denied"])
        yield from cases(requester=requester, mode=mode, author="own", emergencies=["default", f"{mode}-denied"])
        yield from cases(
            act="feed", requester=requester, mode=mode, author="own", emergencies=["default", f"{mode}-denied"]
        )
    yield from cases(mode="BTG", ground=["medecin-traitant", "administrator"], label=["none", "MASQUE_PS"])
    yield from cases(mode="BTG", ground="medecin-traitant", emergencies="BTG-denied")
    yield from cases(
        mode="BTG",
        emergencies=["BTG-denied ETREAT-denied", "ETREAT-denied MASKED-permitted"],
        label=["none", "MASQUE_PS"],
    )
    yield from cases(emergencies="MASKED-permitted", ground=["valid", "none"], label="MASQUE_PS")
    yield from cases(requester=["doctor", "nurse"], mode="ETREAT", ground=["none", "valid"])
    yield from cases(
        requester=["no-card-doctor", "no-reason-doctor", "social-worker", "actor-with-role", "unknown-profession"],
        mode="BTG",
        ground=["none", "valid"],
    )
    yield from cases(requester=["nurse", "pharmacist"], mode="BTG", document="95/ATTEST-DROITS-AM")
    yield from cases(mode="BTG", document="95/ATTEST-RESID")
    yield from cases(
        target=["patient", "related-person", "consent"],
        mode="BTG",
        emergencies=["default", "BTG-denied"],
        block=[
            "none",
            "blocked",
        ],
    )


def habilitation() -> Iterator[Case]:
    """Profession by document (C.5), for professionals the patient authorised."""
    documents = (
        "10/11502-2 11/68599-0 10/83901-9 44/80788-3 42/75496-0 10/83981-1 10/15508-5 44/18776-5 10/11490-0 "
        "90/EXPPAT_3 90/EXPPAT_1 60/REMB 95/ATTEST-RESID 95/ATTEST-DROITS-AM 10/unknown none/unknown"
    ).split()
    readers = "doctor nurse pharmacist dentist podiatrist physiotherapist social-worker psychologist actor-with-role"
    yield from cases(requester=readers.split(), ground="valid", document=documents)
    yield from cases(target="entry", requester=["nurse", "social-worker"], ground="valid")
    yield from cases(act="feed", requester=readers.split(), author="own", document="95/ATTEST-RESID")


def care_history() -> Iterator[Case]:
    """The care history, masked as a whole (R-28)."""
    remb = {"document": "60/REMB", "author": "feeder"}
    seeing = [
        {"requester": "patient"}, GUARD, CARER, {"ground": "valid"}, {"requester": "nurse", "ground": "valid"},
        {"ground": "team-informed"}, {"ground": "medecin-traitant"}, {"ground": "administrator"}, {"mode": "BTG"},
        {"mode": "BTG", "emergencies": "MASKED-permitted"}, {"requester": "samu-doctor", "mode": "ETREAT"},
        {"requester": "samu-doctor", "mode": "ETREAT", "emergencies": "MASKED-permitted"},
    ]  # fmt: skip
    yield from each(seeing, **remb, history=["shown", "masked"])
    yield from each([{"requester": "patient"}, {"ground": "valid"}], history="masked")
    yield from cases(ground="valid", history="masked", document="10/REMB", author="feeder")
    yield from cases(ground="valid", target="entry", history=["shown", "masked"], author="feeder")


def lives() -> Iterator[Case]:
    """The life of the record (R-70 to R-76)."""
    holder = {"requester": "patient"}
    treating, valid, btg = {"ground": "medecin-traitant"}, {"ground": "valid"}, {"mode": "BTG"}
    samu, own = {"requester": "samu-doctor", "mode": "ETREAT"}, {"ground": "none", "author": "own"}
    hospital = {"requester": "hospital", "author": "own"}
    yield from each([holder, GUARD, CARER, treating, valid, btg, samu, own, hospital], life=LIVES)
    feeders = [{"requester": who} for who in ("patient", "doctor", "hospital", "assurance-maladie", "device")]
    yield from each(feeders, act="feed", author="own", life=LIVES)
    yield from each([GUARD, CARER], act="feed", author="own", life=["closed", "opposed", "deceased"])
    kept = ["closed", "archived", "opposed"]
    yield from each([holder, GUARD], target="patient", life=kept)
    yield from each([GUARD], target="patient", life=["none", "deceased"])
    yield from each([CARER, treating, valid, btg], target="patient", life=["closed", "opposed"])
    yield from each([holder, GUARD], act="read-trace", author="other", target="trace", life=kept)
    yield from each([GUARD], act="read-trace", target="trace", life="deceased")
    yield from each([holder, GUARD, valid], life="deceased on a date")
    yield from each([CARER], act="read-trace", target="trace", life="closed")
    yield from each([valid], act="read-trace", target="trace", author="own", life="closed")
    yield from each([holder, GUARD, treating, CARER], act="withdraw-opposition", target="consent", life="opposed")
    yield from each([holder, treating], target="consent", life=["opposed", "closed"])
    yield from each([holder, GUARD, CARER, treating, valid], act="reopen", target="patient", life="closed")
    yield from each([holder, treating], act="mask", life="closed")
    yield from each([holder], act="authorise", target="consent", life=["closed", "none"])
    yield from each([treating], act="block-a-professional", target="consent", life=["closed", "opposed"])
    yield from each([{}, holder, {"requester": "hospital"}], act="status", target="patient", life=["none", "closed"])
    yield from each([{}], act="collect", target="consent", life=["none", "closed", "opposed"])


def acts() -> Iterator[Case]:
    """Every act by every kind of requester, in an open record (access §2)."""
    yield from each(ACTORS, act="feed", author="own")
    yield from each(ACTORS, act="feed", author="other")
    yield from each(ACTORS, act="delete", author=["own", "other"])
    yield from each(ACTORS, act="mask", author=["own", "other"])
    yield from each(ACTORS, act="unmask", label="MASQUE_PS", author=["own", "other"])
    yield from each(ACTORS[3:8], act="reveal", label="INVISIBLE_PATIENT", author=["own", "other"])
    yield from each(ACTORS[:3], act="reveal", label="INVISIBLE_PATIENT")
    yield from each(ACTORS[:8], act="archive", author=["own", "other"])
    yield from each(ACTORS, target="consent", author=["own", "other"])
    yield from each(ACTORS, act=["authorise", "block-a-professional"], target="consent")
    governing = "choose-emergency name-medecin-traitant oppose mask-history invite-carer"
    yield from each(ACTORS[:6], act=governing.split(), target="consent")
    yield from each(ACTORS, target=["patient", "practitioner"])
    yield from each([ACTORS[0], ACTORS[5], ACTORS[13]], target="unlisted")
    yield from each(ACTORS, target="related-person")
    yield from each(ACTORS, act="close", target="patient")
    yield from each(ACTORS[:6], act="contact-details", target="patient")
    yield from each(ACTORS, act="read-trace", target="trace", author=["own", "other"])
    yield from each((who for who in ACTORS if who["requester"] != "assurance-maladie"), act="collect", target="consent")
    yield from each(ACTORS, act=["status"], target="patient")
    yield from each(ACTORS, act=["access-list", "explain"], target="access")


def details() -> Iterator[Case]:
    """What the grid of acts leaves out."""
    yield from cases(act=["feed", "delete"], author="own", requester="nurse", ground="none")
    yield from cases(act=["feed", "delete"], author=["contained", "structure"], ground=["valid"])
    yield from cases(act="feed", author="own", requester=["device", "insurer", "trusted-person", "pharmacist"])
    yield from cases(act="feed", author="own", target=["patient", "consent", "related-person"])
    yield from cases(act="mask", requester="nurse", ground=["valid", "none", "team-informed", "structure"])
    yield from cases(act="mask", requester="nurse", ground="valid", document="95/ATTEST-DROITS-AM")
    yield from cases(act="unmask", label="MASQUE_PS", ground="valid", author=["contained", "structure"])
    yield from cases(act="unmask", label="MASQUE_PS", ground=["administrator", "mt-proposed", "expired"])
    minors = {"act": "delete", "person": "minor", "author": "patient"}
    yield from cases(**minors, requester=["patient", "representative", "carer"])
    yield from cases(**minors, requester="representative", ground="guard")
    yield from cases(**minors, requester="carer", ground="accepted")
    yield from cases(act=["delete", "edit"], requester="patient", author=["own", "other", "feeder"])
    yield from cases(act="reveal", label="INVISIBLE_REPRESENTANTS_LEGAUX", person="minor", requester="patient")
    yield from cases(act="reveal", label="INVISIBLE_REPRESENTANTS_LEGAUX", person="minor", ground=[
        "valid", "medecin-traitant",
    ], author=["own", "other"])  # fmt: skip
    yield from cases(
        act="block-a-professional", target="consent", ground=["mt-proposed", "mt-withdrawn", "team-informed"]
    )
    yield from cases(act="block-a-professional", target="consent", ground="medecin-traitant", block="blocked")
    yield from each([GUARD], act="read-trace", target="trace", label=[
        "secret", "secret-lifted", "INVISIBLE_REPRESENTANTS_LEGAUX", "INVISIBLE_PATIENT", "MASQUE_PS",
    ])  # fmt: skip
    yield from cases(
        act="read-trace", target="trace", requester="patient", person="minor", label=["secret", "INVISIBLE_PATIENT"]
    )
    yield from cases(
        act="read-trace",
        target="trace",
        ground=["medecin-traitant", "administrator"],
        label=["INVISIBLE_PATIENT", "secret"],
    )
    yield from cases(
        act="read-trace", target="trace", ground="medecin-traitant", block="blocked", author=["own", "other"]
    )
    yield from cases(
        act="read-trace", target="trace", requester="representative", person="minor", ground=["none", "ended"]
    )
    yield from cases(act="read-trace", target="trace", requester="representative", person="adult", ground="guard")
    yield from cases(act="read-trace", target="trace", requester=["device", "insurer", "trusted-person"], author="own")
    yield from cases(act="read-trace", target="trace", requester="support", place="other realm")
    yield from cases(act="collect", target="consent", requester=["nurse", "social-worker", "device", "insurer"])
    yield from cases(act="collect", target="consent", ground=["expired", "revoked", "another"])
    telling = ["doctor", "assurance-maladie", "device", "hospital", "patient", "insurer"]
    yield from cases(act="tell-medecin-traitant", target="consent", requester=telling)
    yield from cases(act="tell-medecin-traitant", target="consent", block="blocked")
    yield from cases(
        act="answer-invitation",
        target="consent",
        requester="carer",
        ground=["invited", "accepted"],
        author=["own", "other"],
    )
    yield from cases(
        act="answer-invitation", target="consent", requester="carer", ground=["refused", "left"], author="own"
    )
    yield from each(ACTORS[:6:4], act="answer-invitation", target="consent")
    yield from cases(target="consent", requester="carer", ground="invited", author=["own", "other"])
    yield from cases(act="status", target="patient", requester=["nurse", "social-worker", "device", "insurer"])
    yield from cases(
        act=["authorise", "oppose", "status", "access-list"], target="consent", requester="carer", ground="invited"
    )
    yield from cases(
        act=["authorise", "access-list"], target="consent", requester="representative", person="adult", ground="guard"
    )
    yield from cases(
        target="consent", ground=["structure", "team-informed", "expired", "revoked"], author=["own", "other"]
    )


THEMES: Final = (authorisations, authors, labels, emergencies, habilitation, care_history, lives, acts, details)


def table() -> str:
    """The whole table as CSV: each case once, sorted; what is ordinary is left empty, so that the rest is seen."""
    text = io.StringIO()
    rows = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    rows.writeheader()
    for case in sorted({case for theme in THEMES for case in theme()}):
        answer = judge(case)
        told = {
            name: "" if name not in ALWAYS and word == ORDINARY[name] else word for name, word in asdict(case).items()
        }
        told |= {"expected": "yes" if answer.yes else "no", "cites": answer.cites}
        rows.writerow(told | {"basis": answer.basis, "because": answer.because})
    return text.getvalue()


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
