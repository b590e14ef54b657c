"""Reading the file of a site, as the SLURM profile and the fleet of TPU VMs have one each."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import yaml

from robustvit.config.schema import describe
from robustvit.core.errors import UserError

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class SiteFile:
    """What tells one kind of site file from the other.

    Attributes:
        kind: its name in messages, as "site file".
        shipped: the file that is read where `variable` names none, relative to the repository.
        schema: its JSON schema, relative to the repository.
        variable: the environment variable with which a user names another file.
        example: a line of such a file.
    """

    kind: str
    shipped: str
    schema: str
    variable: str
    example: str

    def path(self) -> Path:
        """The file that `variable` names, else the shipped one."""
        return Path(os.environ.get(self.variable) or ROOT / self.shipped).expanduser()

    def read(self, path: Path) -> dict:
        """The keys and values of the file at `path`, as given and validated.

        Raises:
            UserError: naming the file, the key, what was expected and an example.
        """
        given = self._parse(path)
        schema = yaml.safe_load((ROOT / self.schema).read_text(encoding="utf-8"))
        found = jsonschema.Draft202012Validator(schema).iter_errors(given)
        errors = sorted(found, key=lambda error: list(map(str, error.path)))
        if errors:
            lines = [line for error in errors[:5] for line in describe(error)]
            raise UserError(f"{path} is not valid:\n  " + "\n  ".join(lines))
        return given

    def _parse(self, path: Path) -> dict:
        try:
            given = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except OSError as error:
            raise UserError(
                f"{path}: the {self.kind} cannot be read ({error.strerror}). {self.variable} names "
                f"it; without that variable it is {self.shipped}."
            ) from error
        except UnicodeDecodeError as error:
            raise UserError(
                f"{path}: not UTF-8 text (byte {error.start}), as the {self.kind} has to be. "
                f"Example of a line: {self.example}"
            ) from error
        except yaml.YAMLError as error:
            raise UserError(f"{path}: not valid YAML: {error}. Example: {self.example}") from error
        if not isinstance(given, dict):
            raise UserError(f"{path}: expected keys and values. Example: {self.example}")
        return given


def load_or_exit(load: Callable[[Path], dict], path: Path) -> dict:
    """The site at `path`; a mistake in it ends the program with its message.

    For profiles: Snakemake would wrap an exception from a profile into three others.
    """
    try:
        return load(path)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
