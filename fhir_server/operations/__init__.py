"""The operations, one file each.

To add one: write the file and its OperationDefinition, add a line here, and run tools/declare_capabilities.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.operations import (
    access_list,
    authorize,
    block,
    code_system_lookup,
    code_system_subsumes,
    code_system_validate_code,
    concept_map_translate,
    emergency_preferences,
    everything,
    explain_access,
    mask,
    revoke,
    snapshot,
    statut_dmp,
    validate,
    value_set_expand,
    value_set_validate_code,
)

if TYPE_CHECKING:
    from fhir_server.operations.operation import Operation

OPERATIONS: Final[tuple[Operation, ...]] = (
    authorize.OPERATION,
    revoke.OPERATION,
    block.BLOCK,
    block.UNBLOCK,
    emergency_preferences.OPERATION,
    access_list.OPERATION,
    explain_access.OPERATION,
    statut_dmp.OPERATION,
    mask.MASK,
    mask.UNMASK,
    everything.OF_PATIENT,
    everything.OF_ENCOUNTER,
    validate.OPERATION,
    snapshot.OPERATION,
    code_system_lookup.OPERATION,
    code_system_validate_code.OPERATION,
    code_system_subsumes.OPERATION,
    value_set_expand.OPERATION,
    value_set_validate_code.OPERATION,
    concept_map_translate.OPERATION,
)
