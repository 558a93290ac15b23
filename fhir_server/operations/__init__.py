"""The operations, one file each.

To add one: write the file and its OperationDefinition, add a line here, and run tools/declare_capabilities.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.operations import (
    access_list,
    authorize,
    block,
    emergency_preferences,
    everything,
    explain_access,
    mask,
    revoke,
    statut_dmp,
    validate,
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
)
