"""google-api-python-client against a simulated GKE: python3 gke_discovery.py URL KEY_FILE WRONG_KEY_FILE"""

import sys
import urllib.request

from google.auth.exceptions import RefreshError
from google.oauth2 import service_account
from googleapiclient import discovery
from googleapiclient.errors import HttpError

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
URL, KEY, WRONG = sys.argv[1:4]
PROJECT = "demo-project"
calls = 0


def service(name, key, endpoint):
    credentials = service_account.Credentials.from_service_account_file(key, scopes=SCOPES)
    return discovery.build(
        name, "v1", credentials=credentials, static_discovery=True, client_options={"api_endpoint": endpoint}
    )


def run(request):
    global calls
    calls += 1
    return request.execute(num_retries=0)


def refused(status, request):
    try:
        run(request)
    except HttpError as told:
        assert told.resp.status == status, told
        return told.reason
    raise AssertionError(f"{request.methodId} was to be refused with {status}")


locations = service("container", KEY, URL).projects().locations()
clusters, operations = locations.clusters(), locations.operations()
compute = service("compute", KEY, f"{URL}/compute/v1/")


def wait(place, operation):
    request = operations.get(name=f"{place}/operations/{operation['name']}")
    assert run(request)["status"] == "RUNNING"
    later = urllib.request.Request(f"{URL}/_simulator/time", data=b'{"seconds": 600}')
    urllib.request.urlopen(later).close()
    found = run(request)
    assert found["status"] == "DONE" and "error" not in found, found


zones = run(compute.zones().list(project=PROJECT))["items"]
zone = next(zone["name"] for zone in zones if zone["status"] == "UP")
machines, request = [], compute.machineTypes().list(project=PROJECT, zone=zone, maxResults=7)
while request is not None:
    answer = run(request)
    machines += answer["items"]
    request = compute.machineTypes().list_next(request, answer)
assert len({machine["name"] for machine in machines}) == len(machines) > 14
regions = run(compute.regions().list(project=PROJECT))["items"]
region = next(region for region in regions if zone.startswith(region["name"]))
assert any(quota["metric"] == "CPUS" and quota["usage"] == 0 for quota in region["quotas"])

place = f"projects/{PROJECT}/locations/{zone}"
name = f"{place}/clusters/kq1"
config = run(locations.getServerConfig(name=place))
body = {
    "cluster": {
        "name": "kq1",
        "initialClusterVersion": config["channels"][0]["validVersions"][-1],
        "networkConfig": {"datapathProvider": "ADVANCED_DATAPATH"},
        "nodePools": [{"name": "default-pool", "initialNodeCount": 2, "config": {"machineType": "e2-standard-4"}}],
    }
}
wait(place, run(clusters.create(parent=place, body=body)))
refused(409, clusters.create(parent=place, body=body))
cluster = run(clusters.get(name=name))
assert cluster["status"] == "RUNNING" and cluster["currentNodeCount"] == 2 and cluster["endpoint"], cluster
used = run(compute.regions().get(project=PROJECT, region=region["name"]))["quotas"]
assert any(quota["metric"] == "CPUS" and quota["usage"] == 8 for quota in used), used
policy = {"networkPolicy": {"provider": "CALICO", "enabled": True}}
assert "ADVANCED_DATAPATH" in refused(400, clusters.setNetworkPolicy(name=name, body=policy))
assert [it["name"] for it in run(clusters.list(parent=f"projects/{PROJECT}/locations/-"))["clusters"]] == ["kq1"]
wait(place, run(clusters.nodePools().setSize(name=f"{name}/nodePools/default-pool", body={"nodeCount": 4})))
assert run(clusters.get(name=name))["currentNodeCount"] == 4
wait(place, run(clusters.delete(name=name)))
refused(404, clusters.get(name=name))
assert run(clusters.list(parent=f"projects/{PROJECT}/locations/-")) == {}
assert "e2-standard-3" in refused(400, clusters.create(parent=place, body={"cluster": {
    "name": "kq2", "initialNodeCount": 1, "nodeConfig": {"machineType": "e2-standard-3"}}}))

# The older form of paths.
old = service("container", KEY, URL).projects().zones()
where = {"projectId": PROJECT, "zone": zone}
body["cluster"]["name"] = "kq3"
wait(place, run(old.clusters().create(**where, body=body)))
sized = old.clusters().nodePools().setSize(**where, clusterId="kq3", nodePoolId="default-pool", body={"nodeCount": 3})
wait(place, run(sized))
assert run(old.clusters().get(**where, clusterId="kq3"))["currentNodeCount"] == 3
wait(place, run(old.clusters().delete(**where, clusterId="kq3")))

try:
    run(service("container", WRONG, URL).projects().locations().clusters().list(parent=f"projects/{PROJECT}/locations/-"))
    raise AssertionError("a wrong key is accepted")
except RefreshError as told:
    assert "Invalid JWT Signature" in str(told), told
print(f"google-api-python-client: {calls} calls")
