"""Calls the service with the client openapi-python-client has generated into the package kqueen_client."""

import os

from kqueen_client import AuthenticatedClient, Client
from kqueen_client.api.auth import auth
from kqueen_client.api.clusters import cluster_create, cluster_delete, cluster_get, cluster_list, cluster_update
from kqueen_client.api.organizations import organization_create
from kqueen_client.api.provisioners import provisioner_create
from kqueen_client.api.users import user_create, user_whoami
from kqueen_client.models import (
    ClusterCreate, ClusterUpdate, Credentials, Error, OrganizationCreate, ProvisionerCreate, UserCreate,
)

BASE = os.environ["KQUEEN_ORIGIN"] + "/api/v1"
token = auth.sync(client=Client(BASE), body=Credentials(username="admin", password="default")).access_token
client = AuthenticatedClient(BASE, token)
assert user_whoami.sync(client=client).username == "admin"
organization = organization_create.sync(client=client, body=OrganizationCreate(name="Python", namespace="python"))
user = user_create.sync(client=client, body=UserCreate(
    username="python", password="correct horse", organization=f"Organization:{organization.id}"))
assert user.organization.name == "Python"
provisioner = provisioner_create.sync(client=client, body=ProvisionerCreate(name="p", engine="kqueen.engines.ManualEngine"))
kubeconfig = {
    "apiVersion": "v1", "kind": "Config", "current-context": "c", "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
    "contexts": [{"name": "c", "context": {"cluster": "c", "user": ""}}], "users": [],
}
cluster = cluster_create.sync(client=client, body=ClusterCreate(
    name="python", provisioner=f"Provisioner:{provisioner.id}", kubeconfig=kubeconfig))
page = cluster_list.sync(client=client, offset=0, limit=1, name="PYTHON")
assert page.total == 1 and page.items[0].id == cluster.id, page
assert cluster_update.sync(cluster.id, client=client, body=ClusterUpdate(name="renamed")).name == "renamed"
assert cluster_get.sync(cluster.id, client=client).kubeconfig["kind"] == "Config"
missing = cluster_get.sync("00000000-0000-4000-8000-000000000000", client=client)
assert isinstance(missing, Error) and missing.code == 404 and missing.error == "not_found", missing
taken = organization_create.sync(client=client, body=OrganizationCreate(name="Python", namespace="python"))
assert isinstance(taken, Error) and taken.details[0].field == "namespace", taken
assert cluster_delete.sync(cluster.id, client=client).state == "deleted"
print("ok")
