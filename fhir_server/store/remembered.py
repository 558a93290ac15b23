"""What a data folder remembers of the mongod that made it (``DATA/mongo/mongod.json``).

Files of one series of MongoDB are not for another: an upgrade is a decision (featureCompatibilityVersion, backup) and
never the side effect of a start.

https://www.mongodb.com/docs/v6.0/reference/command/setFeatureCompatibilityVersion/
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import msgspec

from fhir_server.store import mongod
from fhir_server.store.folder import write_private
from fhir_server.store.mongod import EmbeddedError, Program


class _Written(msgspec.Struct):
    path: str
    version: str
    stamp: str
    port: int | None
    ready: bool


@dataclass(frozen=True, slots=True)
class Remembered:
    """The program, the port it listened on, and whether the first start came to its end."""

    NAME: ClassVar[str] = "mongod.json"

    program: Program
    port: int | None
    ready: bool

    @classmethod
    def read(cls, home: Path) -> Self | None:
        """What is written in the folder; nothing in a new one."""
        try:
            written = msgspec.json.decode((home / cls.NAME).read_bytes(), type=_Written)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise EmbeddedError(f"{home / cls.NAME} cannot be read: {error}.") from None
        return cls(Program(Path(written.path), written.version, written.stamp), written.port, written.ready)

    def write(self, home: Path) -> None:
        """Keep it, whole or not at all."""
        program = self.program
        written = _Written(str(program.path), program.version, program.stamp, self.port, self.ready)
        write_private(home / self.NAME, msgspec.json.format(msgspec.json.encode(written), indent=2).decode() + "\n")

    def with_program(self, program: Program) -> Self:
        """The same folder, served by this program."""
        return replace(self, program=program)

    def choose(self, wanted: Path | None, home: Path) -> Program:
        """The mongod for this folder: the one that made it, or another of the same series.

        The bundled one stands in when the one that made the folder has gone, as when the installation moved.
        """
        made_by = self.program
        if wanted is not None:
            candidate = mongod.inspect(wanted.resolve(), made_by)
        elif made_by.path.exists():
            candidate = mongod.inspect(made_by.path, made_by)
        else:
            candidate = mongod.inspect(mongod.bundled(home))
        if candidate.series != made_by.series and self.ready:
            raise EmbeddedError(
                f"The data folder was made by mongod {made_by.version} ({made_by.path}), and {candidate.path} is "
                f"{candidate.version}; give a mongod {made_by.series} with --mongod PATH, or use another data folder."
            )
        return candidate
