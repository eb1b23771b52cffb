"""Points generated requests at objects that exist, so that every operation is reached and none takes the run's own account away.

KQUEEN_ORIGIN and KQUEEN_TOKEN name the service and the caller, KQUEEN_KUBECONFIG a file with a kubeconfig of a live cluster.
"""

import itertools
import json
import os
import urllib.request

import schemathesis

ORIGIN = os.environ["KQUEEN_ORIGIN"] + "/api/v1"
TOKEN = os.environ["KQUEEN_TOKEN"]
with open(os.environ["KQUEEN_KUBECONFIG"], encoding="utf-8") as file:
    KUBECONFIG = json.load(file)
NUMBERS = itertools.count()


def create(kind):
    """A new object of that kind; its id."""
    number = next(NUMBERS)
    body = {
        "organizations": {"name": f"fuzz {number}", "namespace": f"fuzz-{number}"},
        "users": {"username": f"fuzz-{number}", "password": "a password of the fuzzer"},
        "provisioners": {"name": f"fuzz {number}", "engine": "kqueen.engines.ManualEngine"},
        "clusters": {"name": f"fuzz {number}", "provisioner": f"Provisioner:{KEPT.get('provisioners')}", "kubeconfig": KUBECONFIG},
    }[kind]
    request = urllib.request.Request(
        f"{ORIGIN}/{kind}",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["id"]


KEPT = {}
for kind in ("organizations", "users", "provisioners", "clusters"):
    KEPT[kind] = create(kind)


def kind_of(operation):
    return operation.path.strip("/").split("/")[0]


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Ids that look right become those of objects that exist; whatever is deleted was made for it."""
    kind = kind_of(context.operation)
    if path_parameters and kind in KEPT and len(str(path_parameters.get("id", ""))) == 36:
        deletes = context.operation.method.upper() == "DELETE"
        path_parameters["id"] = create(kind) if deletes else KEPT[kind]
    return path_parameters


@schemathesis.hook
def map_headers(context, headers):
    """Conditional requests mostly name a revision that is not there; half of them are sent without."""
    if headers and next(NUMBERS) % 2:
        headers.pop("If-Match", None)
    return headers


@schemathesis.hook
def map_body(context, body):
    """References that look right become those of objects that exist."""
    if not isinstance(body, dict):
        return body
    operation = context.operation.definition.raw.get("operationId")
    if isinstance(body.get("provisioner"), str) and body["provisioner"].startswith("Provisioner:"):
        body["provisioner"] = f"Provisioner:{KEPT['provisioners']}"
    if isinstance(body.get("organization"), str) and body["organization"].startswith("Organization:"):
        body["organization"] = f"Organization:{KEPT['organizations']}"
    if isinstance(body.get("owner"), str) and body["owner"].startswith("User:"):
        body.pop("owner")
    if operation == "cluster_create" and isinstance(body.get("kubeconfig"), dict):
        body["kubeconfig"] = KUBECONFIG
    if operation == "provisioner_create" and isinstance(body.get("engine"), str):
        body["engine"] = "kqueen.engines.ManualEngine"
    return body
