"""The équipe de soins: whose members are deemed authorised once the patient was informed and did not oppose (R-04).

A CareTeam of the record gives its members access while it is active, each in his own period and that of the team, from
the moment the patient was informed (an extension of ours says it), or from his express consent (policy `equipe`).
Members count by identifier alone (RPPS, FINESS, idNat): anybody else in the team gets nothing by it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from fhir_server.fhir import date
from fhir_server.record.actors import identifier_key

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import tzinfo

    from fhir_server.fhir.json import Json, JsonObject

EQUIPE_INFORMATION: Final = "https://fhir.dmp-ens.example/StructureDefinition/equipe-information"
"""On a CareTeam, valueDateTime: when the patient was told of the team and that he may oppose (R1111-46)."""
_ACTORS: Final = ("rpps|", "finess|")


@dataclass(frozen=True, slots=True)
class Member:
    """A professional or a structure of the team, in ``[start, end)``."""

    actor: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Team:
    """A care team that is active, and since when its members may consult."""

    key: str
    """``CareTeam/[id]``."""
    members: tuple[Member, ...]
    start: int
    end: int
    since: int
    """When the patient was informed or consented; nobody was, when it is the end of time."""

    def covers(self, actors: set[str], now: int) -> bool:
        """Whether one of these actors may consult as a member at this moment."""
        return (
            self.start <= now < self.end
            and self.since <= now
            and any(member.actor in actors and member.start <= now < member.end for member in self.members)
        )

    def but(self, actors: Collection[str]) -> Team:
        """The team without these members."""
        return replace(self, members=tuple(one for one in self.members if one.actor not in actors)) if actors else self

    def authorised(self, start: int, end: int, granted: int) -> tuple[Team, ...]:
        """The team with the express consent of the patient, in ``[start, end)``, given at ``granted``.

        It only adds: where he was informed, the deemed consent stands beside it until he opposes (R-04).
        """
        express = replace(self, start=max(self.start, start), end=min(self.end, end), since=max(start, granted))
        return (express,) if self.since == date.MAX else (self, express)

    def stored(self) -> dict[str, Any]:
        """The form kept with the facts."""
        members = [{"actor": one.actor, "start": one.start, "end": one.end} for one in self.members]
        return {"key": self.key, "members": members, "start": self.start, "end": self.end, "since": self.since}

    @staticmethod
    def of(stored: Mapping[str, Any]) -> Team:
        """The inverse of :meth:`stored`."""
        return Team(**{**stored, "members": tuple(Member(**one) for one in stored["members"])})


def read_team(id: str, care_team: JsonObject, zone: tzinfo) -> Team | None:
    """The team a CareTeam tells of; nothing when it is not active or has no member known by identifier."""
    if care_team.get("status") != "active":
        return None
    participants = care_team.get("participant")
    members = [
        Member(actor, *_period(participant, zone))
        for participant in (participants if isinstance(participants, list) else [])
        if isinstance(participant, dict) and (actor := _actor(participant)) is not None
    ]
    if not members:
        return None
    start, end = _period(care_team, zone)
    return Team(f"CareTeam/{id}", tuple(members), start, end, _informed(care_team, zone))


def _actor(participant: JsonObject) -> str | None:
    member = participant.get("member")
    key = identifier_key(member.get("identifier")) if isinstance(member, dict) else None
    return key if key is not None and key.startswith(_ACTORS) else None


def _period(element: JsonObject, zone: tzinfo) -> tuple[int, int]:
    period: Json = element.get("period")
    start, end = (period.get("start"), period.get("end")) if isinstance(period, dict) else (None, None)
    return date.moment_of(start, zone, end=False), date.moment_of(end, zone, end=True)


def _informed(care_team: JsonObject, zone: tzinfo) -> int:
    extensions = care_team.get("extension")
    told = [
        one.get("valueDateTime")
        for one in (extensions if isinstance(extensions, list) else [])
        if isinstance(one, dict) and one.get("url") == EQUIPE_INFORMATION
    ]
    return date.moment_of(told[0], zone, end=False, unknown=date.MAX) if len(told) == 1 else date.MAX
