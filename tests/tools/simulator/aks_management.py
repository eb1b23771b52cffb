"""azure-mgmt-containerservice with azure-identity against a simulated AKS, over TLS: python3 aks_management.py FILE

FILE is JSON: url, ca_file, tenant_id, client_id, client_secret, subscription_id, resource_group.
"""

import base64
import json
import ssl
import sys
import tempfile
import urllib.request

from azure.core import MatchConditions
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.identity import ClientSecretCredential
from azure.mgmt.containerservice import ContainerServiceClient

SITE = json.load(open(sys.argv[1]))
URL, CA, GROUP = SITE["url"], SITE["ca_file"], SITE["resource_group"]
calls = 0


def client(**changed):
    site = {**SITE, **changed}
    credential = ClientSecretCredential(
        site["tenant_id"],
        site["client_id"],
        site["client_secret"],
        authority=URL,
        disable_instance_discovery=True,
        connection_verify=CA,
    )
    return ContainerServiceClient(
        credential,
        site["subscription_id"],
        base_url=URL,
        credential_scopes=["https://management.azure.com/.default"],
        connection_verify=CA,
        polling_interval=1,
        retry_total=0,
    )


aks = client()
context = ssl.create_default_context(cafile=CA)


def call(method, *arguments, **named):
    global calls
    calls += 1
    return method(*arguments, **named)


def tell(path, body):
    request = urllib.request.Request(f"{URL}/_simulator/{path}", data=json.dumps(body).encode())
    urllib.request.urlopen(request, context=context).close()


def done(poller):
    """Whatever is under way is done by then; the poller finds that out by itself."""
    tell("time", {"seconds": 1200})
    return poller.result(30)


def refused(error, code, method, *arguments, **named):
    try:
        call(method, *arguments, **named)
    except error as told:
        text = f"{told} {getattr(told, 'response', None) and told.response.text()}"
        assert code in text, text
        return told
    raise AssertionError(f"{method} was to be refused with {code}")


def nodes(config):
    """Asks the cluster itself, as its kubeconfig allows."""
    lines = [line.strip().removeprefix("- ") for line in config.splitlines()]
    entries = dict(line.split(": ", 1) for line in lines if ": " in line)
    authority = tempfile.NamedTemporaryFile("wb", suffix=".pem")
    authority.write(base64.b64decode(entries["certificate-authority-data"]))
    authority.flush()
    request = urllib.request.Request(
        f"{entries['server']}/api/v1/nodes", headers={"Authorization": f"Bearer {entries['token']}"}
    )
    with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=authority.name)) as answer:
        return len(json.load(answer)["items"])


def wanted(count, **properties):
    return {
        "location": "westeurope",
        "identity": {"type": "SystemAssigned"},
        "sku": {"name": "Base", "tier": "Free"},
        "tags": {"kqueen-cluster-id": "x"},
        "properties": {
            "dnsPrefix": "kq1",
            "kubernetesVersion": "1.34",
            "agentPoolProfiles": [
                {"name": "agentpool", "mode": "System", "osType": "Linux", "count": count, "vmSize": "Standard_D2s_v5"}
            ],
            "networkProfile": {
                "networkPlugin": "azure",
                "networkPluginMode": "overlay",
                "networkPolicy": "cilium",
                "networkDataplane": "cilium",
            },
            **properties,
        },
    }


clusters, pools = aks.managed_clusters, aks.agent_pools
versions = call(clusters.list_kubernetes_versions, "westeurope").values_property
assert [it.version for it in versions if it.is_default] == ["1.34"], versions
refused(ResourceNotFoundError, "ResourceNotFound", clusters.get, GROUP, "kq1")
refused(ResourceNotFoundError, "ResourceGroupNotFound", clusters.get, "nowhere", "kq1")

creation = call(clusters.begin_create_or_update, GROUP, "kq1", wanted(2))
assert call(clusters.get, GROUP, "kq1").provisioning_state == "Creating"
# AKS itself refuses in a form of its own.
refused(ResourceExistsError, "OperationNotAllowed", clusters.begin_create_or_update, GROUP, "kq1", wanted(2))
refused(ResourceExistsError, "OperationNotAllowed", clusters.begin_delete, GROUP, "kq1")
made = done(creation)
assert made.provisioning_state == "Succeeded" and made.current_kubernetes_version == "1.34.2", made
assert made.tags == {"kqueen-cluster-id": "x"} and made.node_resource_group == f"MC_{GROUP}_kq1_westeurope"
assert made.power_state.code == "Running" and made.agent_pool_profiles[0].count == 2 and made.fqdn

for number in range(5):
    name = {"subscription": SITE["subscription_id"], "group": GROUP, "name": f"other{number}"}
    done(call(clusters.begin_create_or_update, GROUP, name["name"], wanted(1)))
    if number % 2:
        tell("control", {"event": "vanishes", "cluster": name})
listed = sorted(it.name for it in call(clusters.list_by_resource_group, GROUP))
assert listed == ["kq1", "other0", "other2", "other4"], listed
assert len(list(call(clusters.list))) == 4

admin = call(clusters.list_cluster_admin_credentials, GROUP, "kq1").kubeconfigs[0].value.decode()
user = call(clusters.list_cluster_user_credentials, GROUP, "kq1", format="exec").kubeconfigs[0].value.decode()
assert nodes(admin) == nodes(user) == 2 and "clusterAdmin" in admin and "clusterUser" in user

pool = call(pools.get, GROUP, "kq1", "agentpool")
known = {"etag": pool.e_tag, "match_condition": MatchConditions.IfNotModified}
pool.count = 4
resized = done(call(pools.begin_create_or_update, GROUP, "kq1", "agentpool", pool, **known))
assert resized.count == 4 and resized.provisioning_state == "Succeeded", resized
assert nodes(admin) == 4
refused(
    ResourceModifiedError, "EtagMismatch", pools.begin_create_or_update, GROUP, "kq1", "agentpool", pool, **known
)
assert [it.name for it in call(pools.list, GROUP, "kq1")] == ["agentpool"]

assert done(call(clusters.begin_update_tags, GROUP, "kq1", {"tags": {"a": "b"}})).tags == {"a": "b"}
upgrades = call(clusters.get_upgrade_profile, GROUP, "kq1").control_plane_profile.upgrades
assert [it.kubernetes_version for it in upgrades] == ["1.35.0", "1.35.1"], upgrades
newer = call(clusters.get, GROUP, "kq1")
newer.kubernetes_version = "1.35.1"
assert done(call(clusters.begin_create_or_update, GROUP, "kq1", newer)).current_kubernetes_version == "1.35.1"
done(call(clusters.begin_stop, GROUP, "kq1"))
assert call(clusters.get, GROUP, "kq1").power_state.code == "Stopped"
done(call(clusters.begin_start, GROUP, "kq1"))
assert nodes(admin) == 4

aborted = call(clusters.begin_create_or_update, GROUP, "kq2", wanted(1))
done(call(clusters.begin_abort_latest_operation, GROUP, "kq2"))
try:
    aborted.result(30)
    raise AssertionError("what was aborted has succeeded")
except HttpResponseError as told:
    assert "cancel" in str(told).lower(), told
assert call(clusters.get, GROUP, "kq2").provisioning_state == "Canceled"

tell("faults", {"call": "managed_clusters.create_or_update", "fault": {"doomed": {"code": "AllocationFailed"}}})
try:
    done(call(clusters.begin_create_or_update, GROUP, "kq3", wanted(1)))
    raise AssertionError("what is doomed has succeeded")
except HttpResponseError as told:
    assert "AllocationFailed" in str(told), told
failed = call(clusters.get, GROUP, "kq3")
assert failed.provisioning_state == "Failed"

for name in [*listed, "kq2", "kq3"]:
    done(call(clusters.begin_delete, GROUP, name))
    refused(ResourceNotFoundError, "ResourceNotFound", clusters.get, GROUP, name)
done(call(clusters.begin_delete, GROUP, "kq1"))
assert list(call(clusters.list_by_resource_group, GROUP)) == []

refused(HttpResponseError, "QuotaExceeded", clusters.begin_create_or_update, GROUP, "kq4", {
    **wanted(1), "properties": {**wanted(1)["properties"], "agentPoolProfiles": [
        {"name": "large", "mode": "System", "count": 100, "vmSize": "Standard_M128s"}]}})
refused(HttpResponseError, "SystemPoolSkuTooLow", clusters.begin_create_or_update, GROUP, "kq4", wanted(
    1, agentPoolProfiles=[{"name": "small", "mode": "System", "count": 1, "vmSize": "Standard_A1_v2"}]))
tell("control", {"event": "registration", "subscription": SITE["subscription_id"],
                 "namespace": "Microsoft.ContainerService", "is_registered": False})
refused(ResourceExistsError, "MissingSubscriptionRegistration", clusters.begin_create_or_update, GROUP, "kq4", wanted(1))

# Logins that are not good.
nobody = "00000000-0000-4000-8000-0000000000ff"
for changed, code in [
    ({"client_secret": "wrong"}, "AADSTS7000215"),
    ({"client_id": nobody}, "AADSTS700016"),
]:
    refused(ClientAuthenticationError, code, client(**changed).managed_clusters.get, GROUP, "kq1")
expired = {"event": "principal", "client_id": SITE["client_id"], "is_disabled": False, "secret_is_expired": True}
tell("control", expired)
refused(ClientAuthenticationError, "AADSTS7000222", client().managed_clusters.get, GROUP, "kq1")
print(f"azure-mgmt-containerservice: {calls} calls")
