# SPDX-License-Identifier: Apache-2.0
"""Reads contract files and refuses whatever the tables could not say truly."""

import json
import math
import re

DOORS = ("engine", "memory", "economy", "tools", "identity", "voice")
METHODS = ("GET", "POST", "DELETE")
FLAGS = ("read", "write", "stream", "stream_always", "idempotent", "dangerous", "audited")
PLACES = ("body", "path", "query")
TYPES = ("any", "string", "integer", "number", "boolean", "identity", "uuid", "amount",
         "timestamp", "glob", "map", "list")
TEXT_TYPES = ("string", "identity", "uuid", "timestamp", "glob")
SIZED_TYPES = TEXT_TYPES + ("map", "list")
WHOLE_TYPES = ("integer", "amount")
# Types whose size has a bound of its own; string, map and list must name theirs.
SIZES = {"identity": (1, 255), "uuid": (1, 255), "timestamp": (1, 64), "glob": (1, 255)}
SIZE_LIMIT = 16 * 1024 * 1024
INT64 = (-2**63, 2**63 - 1)
TIMEOUT_LIMIT_MS = 600000
TYPE_LIMIT = 127

WORD = re.compile(r"[a-z][a-z0-9_]*\Z")
PATH = re.compile(r"(/([a-z0-9_.-]+|\{[a-z][a-z0-9_]*\}))+\Z")
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
C_KEYWORDS = frozenset("""auto break case char const continue default do double else enum extern float for goto if inline
    int long register restrict return short signed sizeof static struct switch typedef union unsigned void volatile
    while""".split())

FIELD_KEYS = {"name", "type", "item", "required", "default", "min", "max", "enum", "secret", "in", "summary"}
SHAPE_KEYS = {"fields", "nullable", "optional"}  # only in answers
OPERATION_KEYS = {"name", "handler", "type", "summary", "http", "flags", "timeout_ms", "body_max", "request",
                  "request_of", "response", "response_of", "response_type", "response_list", "response_or", "chunk",
                  "capability", "acts_for", "errors"}


class ContractError(Exception):
    """What is wrong, and where: file, operation, field, what came and what was expected."""


class Field:
    name = ""
    type = "any"
    item = None          # of a list: a type word, or in answers a Field
    required = False
    secret = False
    place = "body"
    default = None       # None: none
    minimum = None       # as the file says; None: unbounded
    maximum = None
    words = ()
    summary = ""
    fields = ()          # of a map in an answer
    nullable = False
    optional = False     # in an answer: may be left out


class Operation:
    pass


class Contract:
    pass


def show(value):
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 60 else text[:57] + "..."


def fail(where, came, expected):
    raise ContractError(f"{where}: came {came}, expected {expected}")


def check_object(where, value, known, needed=()):
    if not isinstance(value, dict):
        fail(where, show(value), "an object")
    for key in value:
        if key not in known:
            fail(where, f"unknown key {show(key)}", "one of " + ", ".join(sorted(known)))
    for key in needed:
        if key not in value:
            raise ContractError(f"{where}: {key}: missing")


def name_of(where, definition):
    """The place, with the definition's own name as soon as it has one."""
    name = definition.get("name") if isinstance(definition, dict) else None
    return f"{where} {name}" if isinstance(name, str) and WORD.match(name) else where


def take_text(where, value, pattern=None, form="a text that is not empty"):
    if not isinstance(value, str) or not value or (pattern and not pattern.match(value)):
        fail(where, show(value), form)
    return value


def take_word(where, value):
    return take_text(where, value, WORD, "a word of lower-case letters, digits and _")


def take_choice(where, value, choices):
    if not isinstance(value, str) or value not in choices:
        fail(where, show(value), "one of " + ", ".join(choices))
    return value


def take_boolean(where, value):
    if not isinstance(value, bool):
        fail(where, show(value), "true or false")
    return value


def is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def take_whole(where, value, low, high):
    if not is_whole(value) or not low <= value <= high:
        fail(where, show(value), f"a whole number from {low} to {high}")
    return value


def take_list(where, value):
    if not isinstance(value, list):
        fail(where, show(value), "a list")
    return value


def unique_pairs(pairs):
    members = {}
    for key, value in pairs:
        if key == "//":
            continue
        if key in members:
            raise ValueError(f"duplicate key {show(key)}")
        members[key] = value
    return members


def refuse_constant(word):
    raise ValueError(f"{word} is not JSON")


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file, object_pairs_hook=unique_pairs, parse_constant=refuse_constant)
    except (OSError, ValueError, RecursionError) as error:
        raise ContractError(f"{path}: cannot be read as JSON: {error}") from None


class Types:
    """Names of field definitions: the file's own, then the shared ones."""

    def __init__(self, *layers):
        self.definitions = {}
        for layer in layers:
            self.definitions.update(layer)

    def resolve(self, where, definition, seen=()):
        """The definition with its named type replaced by what the name stands for."""
        word = definition.get("type")
        if not isinstance(word, str) or (word not in TYPES and word not in self.definitions):
            fail(f"{where}: type", show(word), "one of " + ", ".join(TYPES) + " or a name in types")
        if word in TYPES:
            return definition
        if word in seen:
            raise ContractError(f"{where}: type: {word} stands for itself")
        base = self.resolve(f"{where}: type {word}", self.definitions[word], seen + (word,))
        return {**base, **{key: value for key, value in definition.items() if key != "type"}}


def read_types(where, value):
    if not isinstance(value, dict):
        fail(where, show(value), "an object")
    for name, definition in value.items():
        take_word(where, name)
        if name in TYPES:
            fail(where, show(name), "a name that is no built-in type")
        check_object(f"{where}: {name}", definition, (FIELD_KEYS | SHAPE_KEYS) - {"name", "in", "required"}, ("type",))
    return value


def read_bounds(where, field, definition):
    low, high = definition.get("min"), definition.get("max")
    if field.type in WHOLE_TYPES:
        limits, check = INT64, is_whole
        form = "a whole number within 64 bits"
    elif field.type == "number":
        limits, check = (-math.inf, math.inf), lambda value: is_whole(value) or isinstance(value, float)
        form = "a number"
    elif field.type in SIZED_TYPES:
        limits, check = (0, SIZE_LIMIT), is_whole
        form = f"a whole number from 0 to {SIZE_LIMIT}"
    else:
        for key in ("min", "max"):
            if key in definition:
                fail(f"{where}: {key}", show(definition[key]), f"no bounds for type {field.type}")
        return
    for key, value in (("min", low), ("max", high)):
        if key in definition and (not check(value) or not limits[0] <= value <= limits[1]):
            fail(f"{where}: {key}", show(value), form)
    if low is not None and high is not None and low > high:
        fail(where, f"min {low} and max {high}", "min not above max")
    if field.type in SIZES:
        low = SIZES[field.type][0] if low is None else low
        high = SIZES[field.type][1] if high is None else high
    field.minimum, field.maximum = low, high


def check_default(where, field):
    """A default must be a value that the field itself would accept."""
    value = field.default
    span = describe(field)
    if field.type == "boolean":
        good = isinstance(value, bool)
    elif field.type in WHOLE_TYPES:
        good = is_whole(value) and INT64[0] <= value <= INT64[1] and within(field, value)
    elif field.type == "number":
        good = (is_whole(value) or isinstance(value, float)) and math.isfinite(value) and within(field, value)
    elif field.type in TEXT_TYPES:
        good = (isinstance(value, str) and is_unicode(value) and within(field, len(value.encode()))
                and (not field.words or value in field.words))
    else:
        fail(where, show(value), f"no default for type {field.type}")
    if not good:
        fail(where, show(value), span)


def is_unicode(text):
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in text)


def within(field, value):
    return ((field.minimum is None or value >= field.minimum)
            and (field.maximum is None or value <= field.maximum))


def describe(field):
    words = {"boolean": "true or false", "integer": "a whole number", "amount": "a whole number",
             "number": "a number"}.get(field.type, "a text")
    if field.words:
        return "one of " + ", ".join(field.words)
    if field.minimum is not None:
        words += f" from {field.minimum}"
    if field.maximum is not None:
        words += f" to {field.maximum}"
    return words + (" bytes" if field.type in TEXT_TYPES else "")


def read_words(where, field, definition):
    words = take_list(where, definition["enum"])
    if field.type != "string" and (field.type, field.item) != ("list", "string"):
        fail(where, show(words), "enum only for a string or a list of string")
    if not words:
        fail(where, "[]", "at least one text")
    for word in words:
        take_text(where, word)
        if not is_unicode(word) or any(ord(character) < 32 for character in word):
            fail(where, show(word), "a text without control characters")
    if len(set(words)) != len(words):
        fail(where, show(words), "each text once")
    field.words = tuple(words)


def read_field(where, definition, types, answer):
    where = name_of(where, definition)
    check_object(where, definition, FIELD_KEYS | (SHAPE_KEYS if answer else set()), ("name", "type"))
    field = Field()
    field.name = take_word(f"{where}: name", definition["name"])
    definition = types.resolve(where, definition)
    field.type = definition["type"]
    field.summary = definition.get("summary", "")
    if "summary" in definition:
        take_text(f"{where}: summary", definition["summary"])
    if (field.type == "list") != ("item" in definition):
        fail(f"{where}: item", show(definition.get("item")), "a type for a list, and nothing for any other type")
    if field.type == "list":
        field.item = read_item(where, definition["item"], types, answer)
    if "enum" in definition:
        read_words(f"{where}: enum", field, definition)
    read_bounds(where, field, definition)
    field.secret = take_boolean(f"{where}: secret", definition.get("secret", False))
    if answer:
        read_shape(where, field, definition, types)
    else:
        read_request_field(where, field, definition)
    return field


def read_request_field(where, field, definition):
    for key in sorted(SHAPE_KEYS):
        if key in definition:
            fail(where, f"key {show(key)}", "a request field, which has none")
    field.place = take_choice(f"{where}: in", definition.get("in", "body"), PLACES)
    field.required = take_boolean(f"{where}: required", definition.get("required", field.place == "path"))
    if field.place == "path" and not field.required:
        fail(f"{where}: required", "false", "true, as it stands in the path")
    if field.place != "body" and field.type in ("map", "list", "any"):
        fail(f"{where}: in", show(field.place), f"body, as a path or query cannot hold a {field.type}")
    if field.type in ("map", "list", "string") and field.maximum is None:
        if not field.words:
            raise ContractError(f"{where}: max: missing; every text, map and list of a request is bounded")
        field.maximum = max(len(word.encode()) for word in field.words)
    if "default" in definition:
        if field.required:
            fail(f"{where}: default", show(definition["default"]), "none, as the field is required")
        field.default = definition["default"]
        check_default(f"{where}: default", field)


def read_shape(where, field, definition, types):
    for key in ("in", "required", "default"):
        if key in definition:
            fail(where, f"key {show(key)}", "an answer's field, which has none")
    field.nullable = take_boolean(f"{where}: nullable", definition.get("nullable", False))
    field.optional = take_boolean(f"{where}: optional", definition.get("optional", False))
    if "fields" in definition:
        if field.type != "map":
            fail(f"{where}: fields", f"type {field.type}", "type map")
        field.fields = read_fields(where, definition["fields"], types, answer=True)


def read_item(where, item, types, answer):
    where = f"{where}: item"
    if not answer:
        return take_choice(where, item, TYPES[:-2])
    if isinstance(item, str):
        item = {"type": item}
    if not isinstance(item, dict):
        fail(where, show(item), "a type or a definition")
    return read_field(where, {"name": "item", **item}, types, answer)


def read_fields(where, value, types, answer):
    fields = []
    for definition in take_list(where, value):
        field = read_field(f"{where}: field", definition, types, answer)
        if any(field.name == other.name for other in fields):
            fail(f"{where}: field {field.name}", "the name twice", "each name once")
        fields.append(field)
    return fields


def read_routes(where, value, fields):
    routes = []
    placed = {field.name for field in fields if field.place == "path"}
    for definition in take_list(where, value):
        check_object(where, definition, {"door", "method", "path"}, ("door", "method", "path"))
        door = take_choice(f"{where}: door", definition["door"], DOORS)
        method = take_choice(f"{where}: method", definition["method"], METHODS)
        path = take_text(f"{where}: path", definition["path"], PATH, "segments like /memories/{id}")
        names = PLACEHOLDER.findall(path)
        for name in names:
            if name not in placed:
                fail(f"{where}: path", f"{{{name}}}", "a parameter that is a field with \"in\": \"path\"")
        for name in sorted(placed):
            if names.count(name) != 1:
                fail(f"{where}: path", show(path), f"{{{name}}} once, as that field stands in the path")
        routes.append((door, method, path))
    for field in fields:
        if not routes and field.place != "body":
            fail(f"{where}: field {field.name}", f"in {field.place}", "a field of the body, as there is no http")
        if routes and field.place == "body" and all(method != "POST" for _, method, _ in routes):
            fail(f"{where}: field {field.name}", "in body", "path or query, as no route has a body")
    return routes


def read_subject(where, value, fields):
    if value is not None and value not in [field.name for field in fields if field.type in TEXT_TYPES]:
        fail(where, show(value), "a field of the request that holds text")
    return value


def read_capability(where, value, fields):
    if value is None:
        return None
    check_object(where, value, {"action", "resource", "subject", "resolved", "own"}, ("action", "resource"))
    take_text(f"{where}: action", value["action"], re.compile(r"[a-z]+:[a-z_]+\Z"), "a right like memory:read")
    resource = take_text(f"{where}: resource", value["resource"])
    resolved = take_boolean(f"{where}: resolved", value.get("resolved", False))
    known = {field.name: field for field in fields}
    if re.search(r"[{}]", PLACEHOLDER.sub("", resource)):
        fail(f"{where}: resource", show(resource), "braces in pairs")
    for name in PLACEHOLDER.findall(resource):
        if name not in known and not resolved:
            fail(f"{where}: resource", f"{{{name}}}", "a field of the request")
        if name in known and known[name].type not in TEXT_TYPES:
            fail(f"{where}: resource", f"{{{name}}} of type {known[name].type}", "a field that holds text")
    subject = read_subject(f"{where}: subject", value.get("subject"), fields)
    own = take_boolean(f"{where}: own", value.get("own", False))
    if own and subject is None:
        fail(f"{where}: own", "true", "a subject beside it")
    return {"action": value["action"], "resource": resource, "subject": subject, "resolved": resolved, "own": own}


def read_errors(where, value, statuses):
    errors = []
    for definition in take_list(where, value):
        check_object(where, definition, {"status", "word"}, ("status",))
        status = definition["status"]
        if not isinstance(status, str) or status not in statuses or status in ("OK", "PENDING"):
            fail(f"{where}: status", show(status), "a failure's row of kernel/status.h")
        word = take_word(f"{where}: word", definition.get("word", statuses[status].word))
        if (status, word) in errors:
            fail(where, f"{status} {word} twice", "each error once")
        errors.append((status, word))
    return errors


def read_response(where, definition, types, operation, earlier):
    sources = [key for key in ("response", "response_of", "response_type") if key in definition]
    if len(sources) != 1:
        fail(f"{where}: response", " and ".join(sources) or "none",
             "exactly one of response, response_of, response_type")
    operation.response_or = read_fields(f"{where}: response_or", definition.get("response_or", []), types, True)
    operation.response_list = take_boolean(f"{where}: response_list", definition.get("response_list", False))
    operation.chunk = read_fields(f"{where}: chunk", definition.get("chunk", []), types, True)
    shape = Field()
    shape.type = "map"
    if sources == ["response"]:
        shape.fields = read_fields(f"{where}: response", definition["response"], types, True)
    elif sources == ["response_type"]:
        shape = read_field(f"{where}: response_type", {"name": "answer", "type": definition["response_type"]}, types, True)
    else:
        shape = find_earlier(f"{where}: response_of", definition["response_of"], earlier).response
    operation.response = shape


def find_earlier(where, name, earlier):
    for operation in earlier:
        if operation.name == name:
            return operation
    fail(where, show(name), "the name of an operation that stands before this one")


def read_operation(where, definition, types, statuses, earlier, fields_max):
    where = name_of(where, definition)
    check_object(where, definition, OPERATION_KEYS, ("name", "type", "summary", "flags"))
    operation = Operation()
    operation.name = take_word(f"{where}: name", definition["name"])
    operation.where = where
    operation.handler = take_word(f"{where}: handler", definition.get("handler", operation.name))
    if operation.handler in C_KEYWORDS:
        fail(f"{where}: handler", show(operation.handler), "a name that is no C keyword (set \"handler\")")
    operation.type = take_word(f"{where}: type", definition["type"])
    if len(operation.type) > TYPE_LIMIT:
        fail(f"{where}: type", f"{len(operation.type)} bytes", f"at most {TYPE_LIMIT}")
    operation.summary = take_text(f"{where}: summary", definition["summary"])
    operation.flags = [take_choice(f"{where}: flags", flag, FLAGS)
                       for flag in take_list(f"{where}: flags", definition["flags"])]
    if len(set(operation.flags)) != len(operation.flags):
        fail(f"{where}: flags", show(operation.flags), "each flag once")
    if "read" not in operation.flags and "write" not in operation.flags:
        fail(f"{where}: flags", show(operation.flags), "read or write among them")
    operation.timeout_ms = take_whole(f"{where}: timeout_ms", definition.get("timeout_ms", 30000), 1, TIMEOUT_LIMIT_MS)
    operation.body_max = take_whole(f"{where}: body_max", definition.get("body_max", 0), 0, SIZE_LIMIT)
    if ("request" in definition) == ("request_of" in definition):
        fail(f"{where}: request", "both or none", "exactly one of request, request_of")
    if "request" in definition:
        operation.fields = read_fields(f"{where}: request", definition["request"], types, answer=False)
    else:
        operation.fields = find_earlier(f"{where}: request_of", definition["request_of"], earlier).fields
    if len(operation.fields) > fields_max:
        fail(f"{where}: request", f"{len(operation.fields)} fields", f"at most {fields_max} (ARGUMENTS_MAX)")
    operation.routes = read_routes(f"{where}: http", definition.get("http", []), operation.fields)
    operation.capability = read_capability(f"{where}: capability", definition.get("capability"), operation.fields)
    operation.acts_for = read_subject(f"{where}: acts_for", definition.get("acts_for"), operation.fields)
    if operation.acts_for and operation.capability:
        fail(f"{where}: acts_for", show(operation.acts_for), "nothing beside a capability, which names its subject")
    if "dangerous" in operation.flags and operation.capability is None:
        fail(f"{where}: flags", "dangerous", "a capability beside it")
    operation.errors = read_errors(f"{where}: errors", definition.get("errors", []), statuses)
    read_response(where, definition, types, operation, earlier)
    return operation


def read_contract(path, shared, statuses, fields_max):
    document = load(path)
    check_object(path, document, {"service", "summary", "instances", "types", "operations"},
                 ("service", "summary", "instances", "operations"))
    contract = Contract()
    contract.path = path
    contract.service = take_word(f"{path}: service", document["service"])
    contract.summary = take_text(f"{path}: summary", document["summary"])
    contract.single = take_choice(f"{path}: instances", document["instances"], ("one", "many")) == "one"
    types = Types(shared, read_types(f"{path}: types", document.get("types", {})))
    contract.operations = []
    for definition in take_list(f"{path}: operations", document["operations"]):
        contract.operations.append(read_operation(f"{path}: operation", definition, types, statuses,
                                                  contract.operations, fields_max))
    if not contract.operations:
        fail(f"{path}: operations", "[]", "at least one operation")
    check_names(contract)
    return contract


def check_names(contract):
    """Every name that the emitted C introduces must be its own."""
    prefix = contract.service.upper()
    taken = {f"OP_{prefix}_COUNT": "the number of operations"}
    for operation in contract.operations:
        if any(operation.handler == other.handler for other in contract.operations if other is not operation):
            fail(f"{operation.where}: handler", show(operation.handler), "a name that no other operation uses")
        upper = operation.name.upper()
        names = [f"OP_{prefix}_{upper}"] + [f"{prefix}_{upper}_{field.name.upper()}" for field in operation.fields]
        for name in names:
            if name in taken:
                fail(operation.where, f"the C name {name}, which is {taken[name]}", "a name of its own")
            taken[name] = f"operation {operation.name}'s"


def check_together(contracts, reserved):
    """What must differ between contracts: services, message types and routes."""
    services, types, routes = {}, {}, {}
    for contract in contracts:
        if contract.service in services:
            fail(f"{contract.path}: service", f"{show(contract.service)} of {services[contract.service]}", "a new name")
        services[contract.service] = contract.path
        for operation in contract.operations:
            if operation.type in reserved:
                if contract.service != "bus":
                    fail(f"{operation.where}: type", show(operation.type), "a type that the runtime does not answer itself")
            elif operation.type in types:
                fail(f"{operation.where}: type", f"{show(operation.type)}, as {types[operation.type]}", "a type of its own")
            types[operation.type] = operation.where
            for door, method, path in operation.routes:
                route = (door, method, PLACEHOLDER.sub("{}", path))
                if route in routes:
                    fail(f"{operation.where}: http", f"{method} {path} at door {door}, as {routes[route]}",
                         "a route of its own")
                routes[route] = operation.where


def read_shared(path):
    document = load(path)
    check_object(path, document, {"reserved_types", "types"})
    reserved = [take_word(f"{path}: reserved_types", word)
                for word in take_list(f"{path}: reserved_types", document.get("reserved_types", []))]
    return reserved, read_types(f"{path}: types", document.get("types", {}))
