"""Writes the number of every enum value of the GKE API, as google-cloud-container has them, to standard output:

python3 tests/tools/simulator/enum_numbers.py tests/data/simulator/gke/container.v1.schemas.json
"""

import inspect
import json
import sys

import proto
from google.cloud.container_v1.types import cluster_service


def messages():
    """Every message by its name, which is that of its schema; the names of nested ones may come twice."""
    found = {}
    waiting = [it for it in vars(cluster_service).values() if inspect.isclass(it) and issubclass(it, proto.Message)]
    while waiting:
        message = waiting.pop()
        found.setdefault(message.__name__, []).append(message)
        waiting += [it for it in vars(message).values() if inspect.isclass(it) and issubclass(it, proto.Message)]
    return found


def camel(name):
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def numbers(message, member, names):
    for field in message._meta.fields.values():
        if camel(field.name) == member and field.enum:
            values = dict(field.enum.items()) if hasattr(field.enum, "items") else {it.name: it.value for it in field.enum}
            if set(values) & set(names):
                return {name: values[name] for name in names if name in values}
    return None


known, lines = messages(), []
for schema, definition in sorted(json.load(open(sys.argv[1]))["$defs"].items()):
    members = {}
    for member, property in definition.get("properties", {}).items():
        names = property.get("enum") or property.get("items", {}).get("enum")
        found = [numbers(message, member, names) for message in known.get(schema, []) if names]
        members.update({member: values for values in found if values})
    if members:
        lines.append(f"{json.dumps(schema)}: {json.dumps(members)}")
print("{\n" + ",\n".join(lines) + "\n}")
