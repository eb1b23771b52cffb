"""google-cloud-container over REST against a simulated GKE: python3 gke_generated.py URL KEY_FILE WRONG_KEY_FILE"""

import base64
import json
import ssl
import sys
import tempfile
import urllib.request

from google.api_core import exceptions
from google.auth.exceptions import RefreshError
from google.cloud import container_v1
from google.cloud.container_v1.services.cluster_manager.transports.rest import ClusterManagerRestTransport
from google.oauth2 import service_account
import google.auth.transport.requests

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
URL, KEY, WRONG = sys.argv[1:4]
PROJECT = "demo-project"
calls = 0


def client(key):
    credentials = service_account.Credentials.from_service_account_file(key, scopes=SCOPES)
    transport = ClusterManagerRestTransport(
        host=URL.removeprefix("http://"), url_scheme="http", credentials=credentials
    )
    return container_v1.ClusterManagerClient(transport=transport), credentials


gke, credentials = client(KEY)
Status = container_v1.Cluster.Status


def call(method, **request):
    global calls
    calls += 1
    return getattr(gke, method)(request=request)


def refused(error, method, **request):
    try:
        call(method, **request)
    except error as told:
        return told
    raise AssertionError(f"{method} was to be refused with {error.__name__}")


def wait(place, operation):
    name = f"{place}/operations/{operation.name}"
    assert call("get_operation", name=name).status == container_v1.Operation.Status.RUNNING
    later = urllib.request.Request(f"{URL}/_simulator/time", data=b'{"seconds": 600}')
    urllib.request.urlopen(later).close()
    found = call("get_operation", name=name)
    assert found.status == container_v1.Operation.Status.DONE and found.error.code == 0, found


def nodes(cluster):
    """Asks the cluster itself, as its certificate and the account's token allow."""
    authority = tempfile.NamedTemporaryFile("wb", suffix=".pem")
    authority.write(base64.b64decode(cluster.master_auth.cluster_ca_certificate))
    authority.flush()
    context = ssl.create_default_context(cafile=authority.name)
    # The verification of Python is stricter about the extensions of an authority than Kubernetes clients are.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not credentials.valid:
        credentials.refresh(google.auth.transport.requests.Request())
    request = urllib.request.Request(
        f"https://{cluster.endpoint}/api/v1/nodes", headers={"Authorization": f"Bearer {credentials.token}"}
    )
    with urllib.request.urlopen(request, context=context) as answer:
        return len(json.load(answer)["items"])


for location, per_zone, zones in [("us-central1-a", 2, 1), ("europe-west1", 1, 3)]:
    place = f"projects/{PROJECT}/locations/{location}"
    name = f"{place}/clusters/kq1"
    pool = f"{name}/nodePools/default-pool"
    config = call("get_server_config", name=place)
    assert config.default_cluster_version in config.valid_master_versions
    assert {channel.channel.name for channel in config.channels} == {"RAPID", "REGULAR", "STABLE", "EXTENDED"}
    cluster = container_v1.Cluster(
        name="kq1",
        resource_labels={"kqueen-cluster-id": "x"},
        release_channel=container_v1.ReleaseChannel(channel="STABLE"),
        network_policy=container_v1.NetworkPolicy(provider="CALICO", enabled=True),
        addons_config=container_v1.AddonsConfig(
            network_policy_config=container_v1.NetworkPolicyConfig(disabled=False)
        ),
        ip_allocation_policy=container_v1.IPAllocationPolicy(use_ip_aliases=True),
        node_pools=[
            container_v1.NodePool(
                name="default-pool",
                initial_node_count=per_zone,
                config=container_v1.NodeConfig(machine_type="e2-standard-2", disk_size_gb=50, spot=True),
            )
        ],
    )
    operation = call("create_cluster", parent=place, cluster=cluster)
    assert operation.operation_type == container_v1.Operation.Type.CREATE_CLUSTER, operation
    assert call("get_cluster", name=name).status == Status.PROVISIONING
    assert "Already exists" in refused(exceptions.Conflict, "create_cluster", parent=place, cluster=cluster).message
    busy = refused(exceptions.BadRequest, "delete_cluster", name=name)
    assert operation.name in busy.message, busy
    wait(place, operation)
    found = call("get_cluster", name=name)
    assert found.status == Status.RUNNING and found.node_pools[0].status == container_v1.NodePool.Status.RUNNING
    assert found.release_channel.channel.name == "STABLE" and found.current_master_version.startswith("1.33.")
    assert found.network_policy.provider.name == "CALICO" and found.network_policy.enabled
    assert found.resource_labels == {"kqueen-cluster-id": "x"} and len(found.locations) == zones
    assert nodes(found) == per_zone * zones
    listed = call("list_clusters", parent=f"projects/{PROJECT}/locations/-")
    assert [cluster.name for cluster in listed.clusters] == ["kq1"] and not listed.missing_zones
    wait(place, call("set_node_pool_size", name=pool, node_count=3))
    assert call("get_node_pool", name=pool).initial_node_count == 3
    assert nodes(call("get_cluster", name=name)) == 3 * zones
    wait(place, call("set_network_policy", name=name, network_policy=container_v1.NetworkPolicy(enabled=False)))
    assert not call("get_cluster", name=name).network_policy.enabled
    wait(place, call("update_master", name=name, master_version="1.34"))
    wait(place, call("update_node_pool", name=pool, node_version="-", image_type="COS_CONTAINERD"))
    assert call("get_node_pool", name=pool).version == call("get_cluster", name=name).current_master_version
    addons = container_v1.AddonsConfig(network_policy_config=container_v1.NetworkPolicyConfig(disabled=True))
    update = container_v1.ClusterUpdate(desired_addons_config=addons)
    wait(place, call("update_cluster", name=name, update=update))
    assert call("list_operations", parent=place).operations
    wait(place, call("delete_cluster", name=name))
    refused(exceptions.NotFound, "get_cluster", name=name)
    refused(exceptions.NotFound, "delete_cluster", name=name)

too_large = container_v1.Cluster(name="kq2", initial_node_count=1000, node_config={"machine_type": "n2-standard-8"})
quota = refused(exceptions.Forbidden, "create_cluster", parent=place, cluster=too_large)
assert "Insufficient regional quota" in quota.message, quota
refused(exceptions.Forbidden, "list_clusters", parent="projects/nobodys/locations/-")
gke, _ = client(WRONG)
try:
    call("list_clusters", parent=f"projects/{PROJECT}/locations/-")
    raise AssertionError("a wrong key is accepted")
except RefreshError as told:
    assert "Invalid JWT Signature" in str(told), told
print(f"google-cloud-container: {calls} calls")
