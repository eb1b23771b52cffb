"""Points generated requests at objects that exist, so that every operation is reached and none takes the run's own account away.

KQUEEN_ORIGIN and KQUEEN_TOKEN name the service and the caller, KQUEEN_KUBECONFIG a file with a kubeconfig of a live cluster.
"""

import itertools
import json
import os
import time
import urllib.request

import schemathesis

ORIGIN = os.environ["KQUEEN_ORIGIN"] + "/api/v1"
TOKEN = os.environ["KQUEEN_TOKEN"]
with open(os.environ["KQUEEN_KUBECONFIG"], encoding="utf-8") as file:
    KUBECONFIG = json.load(file)
NUMBERS = itertools.count()


def call(method, path, body=None):
    """What the service answers to the superadmin."""
    request = urllib.request.Request(
        f"{ORIGIN}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def create(kind):
    """A new object of that kind; its id."""
    number = next(NUMBERS)
    body = {
        "organizations": {"name": f"fuzz {number}", "namespace": f"fuzz-{number}"},
        "users": {"username": f"fuzz-{number}", "password": "a password of the fuzzer"},
        "provisioners": {"name": f"fuzz {number}", "engine": "kqueen.engines.ManualEngine"},
        "clusters": {"name": f"fuzz {number}", "provisioner": f"Provisioner:{KEPT.get('provisioners')}", "kubeconfig": KUBECONFIG},
    }[kind]
    return call("POST", f"/{kind}", body)["id"]


def deploy():
    """A cluster that a simulated provider begins to make."""
    body = {"name": f"fuzz {next(NUMBERS)}", "provisioner": f"Provisioner:{SIMULATED}", "metadata": {"node_count": 1}}
    return call("POST", "/clusters", body)


def wait(path, condition):
    """What is at that path once the condition holds."""
    deadline = time.monotonic() + 180
    while True:
        found = call("GET", path)
        if condition(found):
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path}: {found}")
        time.sleep(0.2)


def deployed(cluster):
    """Its id once it is whole."""
    return wait(f"/clusters/{cluster['id']}", lambda it: it["phase"] == "OK")["id"]


def stopped(cluster):
    """Its id once the making of it was stopped."""
    call("POST", f"/operations/{cluster['operation']}/cancel")
    return wait(f"/clusters/{cluster['id']}", lambda it: it["phase"] == "Error")["id"]


def orphaned(cluster):
    """Its id once it was forgotten, when something of it may have been there."""
    wait(f"/operations/{cluster['operation']}", lambda it: it["resources"])
    return call("POST", f"/clusters/{cluster['id']}/forget")["orphan"]


KEPT = {}
for kind in ("organizations", "users", "provisioners", "clusters"):
    KEPT[kind] = create(kind)
SIMULATED = call(
    "POST", "/provisioners", {"name": "simulated", "engine": "kqueen.engines.DemoEngine", "parameters": {"quota": 1000}}
)["id"]
# Ids of operations that want an object in a state of its own.
ONES = [deploy() for _ in range(6)]
WANTED = {
    "operation_get": ONES[0]["operation"],
    "cluster_retry": stopped(ONES[1]),
    "orphan_delete": orphaned(ONES[2]),
    "orphan_ignore": orphaned(ONES[3]),
    "cluster_resize": deployed(ONES[4]),
    "cluster_set_network_policy": deployed(ONES[5]),
}


def existing(operation):
    """The id of an object that the operation can be done to; a new one where it ends the object."""
    name = operation.definition.raw.get("operationId")
    kind = operation.path.strip("/").split("/")[0]
    if name in WANTED:
        return WANTED[name]
    if name == "operation_cancel":
        return deploy()["operation"]
    if name == "cluster_forget" or operation.method.upper() == "DELETE":
        return create(kind)
    return KEPT.get(kind)


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Ids that look right become those of objects that exist; whatever is ended was made for it."""
    if path_parameters and len(str(path_parameters.get("id", ""))) == 36:
        path_parameters["id"] = existing(context.operation) or path_parameters["id"]
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
