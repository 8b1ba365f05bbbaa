# SPDX-License-Identifier: Apache-2.0
"""Writes contracts as an OpenAPI 3.1 document.

Paths are those of the unified port, /<door>/..., so that doors cannot collide; a door's own port serves the same path
without that prefix."""

from reader import ContractError, Field

TEXT_FORMS = {
    "identity": {"description": "Identity, e.g. agent:kasra"},
    "uuid": {"description": "Opaque id"},
    "timestamp": {"format": "date-time"},
    "glob": {"description": "Shell-style pattern"},
    "string": {},
}
WHOLE_FORMS = {"integer": {"format": "int64"}, "amount": {"format": "int64", "description": "microMIND"}}
# What any call may meet, besides its own errors.
COMMON = ("INVALID", "VALIDATION", "TOO_LARGE", "RATE_LIMITED", "INTERNAL", "UNAVAILABLE", "TIMEOUT")
WITH_CAPABILITY = ("CAPABILITY_MISSING", "TOKEN_INVALID", "TOKEN_EXPIRED", "SCOPE_DENIED")


def plain(word):
    if word in TEXT_FORMS:
        return {"type": "string", **TEXT_FORMS[word]}
    if word in WHOLE_FORMS:
        return {"type": "integer", **WHOLE_FORMS[word]}
    return {"any": {}, "map": {"type": "object"}}.get(word, {"type": word}).copy()


def schema(field):
    """The JSON Schema of one field, of a request or an answer."""
    if field.type == "map" and field.fields:
        out = shape(field.fields)
    elif field.type == "list":
        out = {"type": "array", "items": item_schema(field)}
    else:
        out = plain(field.type)
    if field.summary:
        out["description"] = field.summary
    if field.words and field.type != "list":
        out["enum"] = list(field.words)
    bound(out, field)
    if field.secret:
        out["writeOnly"] = True
    if field.default is not None:
        out["default"] = field.default
    if field.nullable:
        out["type"] = [out["type"], "null"]
        if "enum" in out:
            out["enum"].append(None)
    return out


def item_schema(field):
    item = schema(field.item) if isinstance(field.item, Field) else plain(field.item)
    if field.words:
        item["enum"] = list(field.words)
    return item


def bound(out, field):
    """A contract bounds a text in bytes, JSON Schema in characters: of these the upper bound still holds, and so does a
    lower bound of 1."""
    if field.type in ("integer", "amount", "number"):
        names, low, high = ("minimum", "maximum"), field.minimum, field.maximum
    elif field.type in TEXT_FORMS:
        names, low, high = ("minLength", "maxLength"), min(field.minimum or 0, 1), field.maximum
    elif field.type == "map":
        names, low, high = ("minProperties", "maxProperties"), field.minimum, field.maximum
    elif field.type == "list":
        names, low, high = ("minItems", "maxItems"), field.minimum, field.maximum
    else:
        return
    if low is not None and (low or field.type in ("integer", "amount", "number")):
        out[names[0]] = low
    if high is not None and not (field.type in TEXT_FORMS and field.words):
        out[names[1]] = high


def shape(fields):
    """An object of an answer: every field is there unless marked optional."""
    out = {"type": "object", "properties": {field.name: schema(field) for field in fields}}
    required = [field.name for field in fields if not field.optional]
    if required:
        out["required"] = required
    return out


def request_body(operation):
    fields = [field for field in operation.fields if field.place == "body"]
    properties = {}
    for field in fields:
        properties[field.name] = schema(field)
        if not field.required and "type" in properties[field.name]:
            properties[field.name]["type"] = [properties[field.name]["type"], "null"]
            if "enum" in properties[field.name]:
                properties[field.name]["enum"].append(None)
    if operation.capability:
        properties["capability"] = {"type": "object", "description": "The capability, when no header carries it"}
    out = {"type": "object", "properties": properties}
    required = [field.name for field in fields if field.required]
    if required:
        out["required"] = required
    return {"required": bool(required), "content": {"application/json": {"schema": out}}}


def parameters(operation, method):
    out = []
    for field in operation.fields:
        if field.place == "body":
            continue
        parameter = {"name": field.name, "in": field.place, "required": field.required, "schema": schema(field)}
        if "description" in parameter["schema"]:
            parameter["description"] = parameter["schema"].pop("description")
        out.append(parameter)
    if method == "POST":
        out.append({"$ref": "#/components/parameters/IdempotencyKey"})
    out.append({"$ref": "#/components/parameters/TraceId"})
    return out


def answer_schema(operation):
    out = schema(operation.response)
    if operation.response_list:
        out = {"type": "array", "items": out}
    if operation.response_or:
        out = {"oneOf": [out, shape(operation.response_or)]}
    return out


def events_schema(operation):
    text = "Server-sent events: one JSON object in each data line; the last one has done, or error."
    if operation.chunk:
        text += " Before it: " + ", ".join(field.name for field in operation.chunk) + "."
    return {"type": "string", "description": text}


def responses(operation, statuses):
    content = {}
    if "stream_always" not in operation.flags:
        content["application/json"] = {"schema": answer_schema(operation)}
    if "stream" in operation.flags or "stream_always" in operation.flags:
        content["text/event-stream"] = {"schema": events_schema(operation)}
    out = {"200": {"description": "Done", "headers": {"X-SOS-Trace-ID": {"$ref": "#/components/headers/TraceId"}},
                   "content": content}}
    words = {}
    rows = [(name, statuses[name].word) for name in COMMON]
    if operation.capability:
        rows += [(name, statuses[name].word) for name in WITH_CAPABILITY]
        if operation.capability["subject"]:
            rows.append(("SCOPE_DENIED", "capability_subject_mismatch"))
    for name, word in rows + operation.errors:
        listed = words.setdefault(statuses[name].http, [])
        if word not in listed:
            listed.append(word)
    for http in sorted(words):
        out[str(http)] = failure(", ".join(words[http]))
    return out


def failure(words):
    return {"description": words, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}


def describe(contract, operation, path):
    parts = [f"On the port of its door: `{path}`. On the bus: `{operation.type}` to `service:{contract.service}`."]
    if operation.capability:
        parts.append(f"Capability: `{operation.capability['action']}` on `{operation.capability['resource']}`.")
    return " ".join(parts)


def operation_object(contract, operation, method, path, operation_id, statuses):
    out = {"operationId": operation_id, "tags": [contract.service], "summary": operation.summary,
           "description": describe(contract, operation, path), "parameters": parameters(operation, method)}
    if method == "POST":
        out["requestBody"] = request_body(operation)
    out["responses"] = responses(operation, statuses)
    if operation.capability:
        # The empty entry: enforcement is a setting of the home.
        out["security"] = [{"capability": []}, {"bearer": []}]
        if "dangerous" not in operation.flags:
            out["security"].append({})
    return out


def own_paths():
    """What the gateway answers itself, on every port."""
    def page(operation_id, summary, media, answer, unwell=False):
        out = {"operationId": operation_id, "tags": ["gateway"], "summary": summary,
               "responses": {"200": {"description": "Done", "content": {media: {"schema": answer}}}}}
        if unwell:
            out["responses"]["503"] = {"description": "Not well", "content": {media: {"schema": answer}}}
        return {"get": out}

    health = {"$ref": "#/components/schemas/Health"}
    return {
        "/health": page("gateway_health", "Says how the service of this port is", "application/json", health, True),
        "/metrics": page("gateway_metrics", "Gives the metrics as Prometheus text", "text/plain", {"type": "string"}),
        "/version": page("gateway_version", "Names the version", "application/json",
                         {"type": "object", "properties": {"version": {"type": "string"}}, "required": ["version"]}),
    }


def components(statuses):
    codes = ", ".join(f"{status.code} {status.word}" for status in statuses.values() if status.code >= 1000)
    return {
        "schemas": {
            "Error": {
                "type": "object",
                "properties": {
                    "ok": {"type": "boolean", "const": False},
                    "detail": {"type": "string", "description": "Machine word, e.g. validation_error"},
                    "error": {
                        "type": "object",
                        "properties": {
                            "code": {"type": "integer", "description": codes},
                            "message": {"type": "string", "description": "For people: what, where, what was expected"},
                            "detail": {"type": "string"},
                            "context": {"type": "object", "properties": {
                                "field": {"type": "string", "description": "The field that is wrong"}}},
                        },
                        "required": ["code", "message", "detail", "context"],
                    },
                },
                "required": ["ok", "detail", "error"],
            },
            "Health": {
                "type": "object",
                "properties": {
                    "status": {"type": "string", "enum": ["ok", "degraded", "unhealthy"]},
                    "version": {"type": "string"},
                    "service": {"type": "string"},
                    "uptime_seconds": {"type": "number"},
                    "checks": {"type": "object"},
                },
                "required": ["status", "version", "service", "uptime_seconds", "checks"],
            },
        },
        "parameters": {
            "IdempotencyKey": {"name": "Idempotency-Key", "in": "header", "required": False, "schema": {"type": "string"},
                               "description": "A retry with the same key returns the first answer"},
            "TraceId": {"name": "X-SOS-Trace-ID", "in": "header", "required": False,
                        "schema": {"type": "string", "pattern": "^[0-9a-fA-F-]{32,36}$"},
                        "description": "Kept and returned; a new one when absent"},
        },
        "headers": {"TraceId": {"schema": {"type": "string"}, "description": "The call's trace"}},
        "securitySchemes": {
            "capability": {"type": "apiKey", "in": "header", "name": "X-SOS-Capability",
                           "description": "A capability as base64url JSON, padding optional"},
            "bearer": {"type": "http", "scheme": "bearer", "description": "The same in the Authorization header"},
        },
    }


def document(contracts, statuses, version):
    paths, seen = own_paths(), {}
    for contract in contracts:
        for operation in contract.operations:
            for index, (door, method, path) in enumerate(operation.routes):
                operation_id = f"{contract.service}_{operation.name}" + (f"_{index + 1}" if index else "")
                if operation_id in seen:
                    raise ContractError(f"{operation.where}: http: came the operationId {operation_id}, as "
                                        f"{seen[operation_id]}, expected one of its own")
                seen[operation_id] = operation.where
                paths.setdefault(f"/{door}{path}", {})[method.lower()] = operation_object(
                    contract, operation, method, path, operation_id, statuses)
    used = [contract for contract in contracts if any(operation.routes for operation in contract.operations)]
    return {
        "openapi": "3.1.0",
        "info": {"title": "SovereignOS", "version": version,
                 "description": "An operating system for swarms of AI agents and the people who run them.",
                 "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "servers": [{"url": "/", "description": "The unified port"}],
        "tags": [{"name": contract.service, "description": contract.summary} for contract in used]
        + [{"name": "gateway", "description": "Every port"}],
        "paths": paths,
        "components": components(statuses),
    }
