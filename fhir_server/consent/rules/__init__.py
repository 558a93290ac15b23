"""The rules, one file each. To add one: write the file, add a line here.

A rule takes the circumstances and returns one verdict. It never calls another rule, reads no clock and asks no store.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from fhir_server.consent.circumstances import Circumstances
from fhir_server.consent.rules.acts_table import acts_table
from fhir_server.consent.rules.authorisation import authorisation
from fhir_server.consent.rules.block import block
from fhir_server.consent.rules.care_history import care_history
from fhir_server.consent.rules.care_team import care_team
from fhir_server.consent.rules.carer import carer
from fhir_server.consent.rules.collecting import collecting
from fhir_server.consent.rules.conformance import conformance
from fhir_server.consent.rules.directory import directory
from fhir_server.consent.rules.emergency import emergency
from fhir_server.consent.rules.feeding import feeding
from fhir_server.consent.rules.habilitation import habilitation
from fhir_server.consent.rules.invisible_to_patient import invisible_to_patient
from fhir_server.consent.rules.invisible_to_representatives import invisible_to_representatives
from fhir_server.consent.rules.invitation import invitation
from fhir_server.consent.rules.life_of_record import life_of_record
from fhir_server.consent.rules.mask import mask
from fhir_server.consent.rules.medecin_traitant import medecin_traitant
from fhir_server.consent.rules.notifications import notifications
from fhir_server.consent.rules.other_records import other_records
from fhir_server.consent.rules.own_acts import own_acts
from fhir_server.consent.rules.own_deposit import own_deposit
from fhir_server.consent.rules.own_record import own_record
from fhir_server.consent.rules.realm import realm
from fhir_server.consent.rules.refers_to_hidden import refers_to_hidden
from fhir_server.consent.rules.roles import roles
from fhir_server.consent.rules.scope import scope
from fhir_server.consent.rules.status import status
from fhir_server.consent.rules.support import support
from fhir_server.consent.rules.token_record import token_record
from fhir_server.consent.rules.traces_of_hidden import traces_of_hidden
from fhir_server.consent.verdict import Verdict

Rule: TypeAlias = Callable[[Circumstances], Verdict]

RULES: Final[tuple[Rule, ...]] = (
    # grounds
    own_record,
    medecin_traitant,
    authorisation,
    care_team,
    carer,
    invitation,
    emergency,
    own_deposit,
    feeding,
    collecting,
    status,
    directory,
    own_acts,
    support,
    conformance,
    # limits
    acts_table,
    realm,
    scope,
    token_record,
    roles,
    life_of_record,
    habilitation,
    # withdrawals
    block,
    mask,
    care_history,
    invisible_to_patient,
    invisible_to_representatives,
    notifications,
    traces_of_hidden,
    refers_to_hidden,
    other_records,
)

OF_ONE_RECORD: Final = tuple(rule for rule in RULES if rule not in (refers_to_hidden, other_records))
"""What each of several records says for itself; the rules left out put it together."""

LIMITS: Final = frozenset({"acts-table", "realm", "scope", "token-record", "roles", "life-of-record", "habilitation"})
"""The rules that must answer with a limit for every requester; `consent.complete` asks them at start."""
