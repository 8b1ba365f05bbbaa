# SPDX-License-Identifier: Apache-2.0
"""How to reach a swarm and as whom, and where that is found.

In this order, each member from the first that has it:
1. arguments;
2. the environment: SOS_ENDPOINT, SOS_BROKER_PUBLIC_KEY, SOS_CONNECTION (a connection file);
3. the connection file that `sos agent new NAME` writes ({identity, curve_public_key, curve_secret_key, endpoint,
   broker_public_key});
4. $SOS_HOME (~/.sos): agents/NAME.json for whoever is named (the only one there, when nobody is), and
   config/swarm.json ({endpoint, broker_public_key})."""

from __future__ import annotations

import json
import os
import pathlib
import stat
from typing import Any, Dict, Mapping, Optional, Union

from . import wire
from .errors import ConfigurationError

Path = Union[str, "os.PathLike[str]"]

_FILE_MAX = 64 * 1024
_KEY_CHARACTERS = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#")
MEMBERS = ("endpoint", "broker_public_key", "identity", "curve_public_key", "curve_secret_key")


class Connection:
    """Endpoint, the broker's public key, and an identity with its CURVE keys (Z85 text)."""

    __slots__ = MEMBERS

    def __init__(self, endpoint: str, broker_public_key: str, identity: str, curve_public_key: str,
                 curve_secret_key: str) -> None:
        self.endpoint = endpoint
        self.broker_public_key = broker_public_key
        self.identity = identity
        self.curve_public_key = curve_public_key
        self.curve_secret_key = curve_secret_key

    def __repr__(self) -> str:
        return f"<Connection {self.identity} at {self.endpoint}>"  # no key


def _is_key(text: str) -> bool:
    return len(text) == 40 and _KEY_CHARACTERS.issuperset(text)


def read_file(path: Path, secret: bool) -> Dict[str, str]:
    """The known members of a connection, key or swarm file. ConfigurationError names file and member, never a value."""
    try:
        with open(path, "rb") as file:
            if secret and os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise ConfigurationError(f"{os.fspath(path)}: others may read this secret file: chmod 600 it")
            data = file.read(_FILE_MAX + 1)
    except OSError as error:
        raise ConfigurationError(f"{os.fspath(path)}: cannot be read: {error.strerror or error}") from None
    if len(data) > _FILE_MAX:
        raise ConfigurationError(f"{os.fspath(path)}: larger than {_FILE_MAX} bytes")
    try:
        value: Any = json.loads(data)
    except (ValueError, RecursionError):
        # The parser's own words may quote the text near the fault.
        raise ConfigurationError(f"{os.fspath(path)}: not JSON") from None
    if not isinstance(value, dict):
        raise ConfigurationError(f"{os.fspath(path)}: expected a JSON object")
    found = {}
    for name in MEMBERS:
        if name in value:
            if not isinstance(value[name], str) or not value[name]:
                raise ConfigurationError(f"{os.fspath(path)}: member {name}: expected a text")
            found[name] = value[name]
    return found


def home_folder(home: Optional[Path] = None, environment: Optional[Mapping[str, str]] = None) -> pathlib.Path:
    variables = os.environ if environment is None else environment
    if home is not None:
        return pathlib.Path(home)
    if variables.get("SOS_HOME"):
        return pathlib.Path(variables["SOS_HOME"])
    return pathlib.Path.home() / ".sos"


def _agent_file(folder: pathlib.Path, name: Optional[str]) -> pathlib.Path:
    agents = folder / "agents"
    if name is not None:
        short = name.split(":", 1)[1] if name.startswith("agent:") else name
        if name == "user:operator":
            return folder / "secrets" / "operator.key"
        if not wire.is_identity("agent:" + short) or "/" in short:
            raise ConfigurationError(f"agent: came {name!r}, expected a name such as kasra")
        return agents / f"{short}.json"
    files = sorted(agents.glob("*.json")) if agents.is_dir() else []
    if len(files) == 1:
        return files[0]
    if not files:
        raise ConfigurationError(f"no agent is known in {agents}: make one with `sos agent new NAME`, or name a "
                                 "connection file (argument connection, or SOS_CONNECTION)")
    raise ConfigurationError(f"several agents are known in {agents}: name one (argument agent, or SOS_AGENT)")


def discover(connection: Union[Connection, Mapping[str, str], Path, None] = None, *, agent: Optional[str] = None,
             home: Optional[Path] = None, endpoint: Optional[str] = None, broker_public_key: Optional[str] = None,
             environment: Optional[Mapping[str, str]] = None) -> Connection:
    """Finds everything, or raises ConfigurationError saying what is missing and where it was looked for."""
    variables = os.environ if environment is None else environment
    if isinstance(connection, Connection):
        return check({name: getattr(connection, name) for name in MEMBERS}, "argument connection")
    parts = {"endpoint": endpoint or variables.get("SOS_ENDPOINT"),
             "broker_public_key": broker_public_key or variables.get("SOS_BROKER_PUBLIC_KEY")}
    found = {name: value for name, value in parts.items() if value}
    if isinstance(connection, Mapping):
        where = "argument connection"
        for name in MEMBERS:
            if name in connection:
                found.setdefault(name, connection[name])
    else:
        path: Path
        if connection is not None:
            path = connection
        elif agent is None and home is None and variables.get("SOS_CONNECTION"):
            path = variables["SOS_CONNECTION"]
        else:
            path = _agent_file(home_folder(home, variables), agent or variables.get("SOS_AGENT"))
        where = os.fspath(path)
        for name, value in read_file(path, secret=True).items():
            found.setdefault(name, value)
    if "endpoint" not in found or "broker_public_key" not in found:
        swarm = home_folder(home, variables) / "config" / "swarm.json"
        if swarm.exists():
            for name, value in read_file(swarm, secret=False).items():
                if name in ("endpoint", "broker_public_key"):
                    found.setdefault(name, value)
    return check(found, where)


def check(found: Mapping[str, str], where: str) -> Connection:
    for name in MEMBERS:
        if name not in found:
            hint = "; was the swarm ever started (`sos up`)?" if name in ("endpoint", "broker_public_key") else ""
            raise ConfigurationError(f"{where}: {name} is missing{hint}", context={"field": name})
        if not isinstance(found[name], str):
            raise ConfigurationError(f"{where}: {name}: expected a text", context={"field": name})
        if name.endswith("_key") and not _is_key(found[name]):
            raise ConfigurationError(f"{where}: {name}: expected a CURVE key of 40 Z85 characters",
                                     context={"field": name})
    if not found["endpoint"].startswith(("tcp://", "ipc://")):
        raise ConfigurationError(f"{where}: endpoint: came {found['endpoint']!r:.80}, expected tcp://HOST:PORT",
                                 context={"field": "endpoint"})
    if not wire.is_identity(found["identity"]):
        raise ConfigurationError(f"{where}: identity: came {found['identity']!r:.80}, expected one such as agent:kasra",
                                 context={"field": "identity"})
    return Connection(**{name: found[name] for name in MEMBERS})
