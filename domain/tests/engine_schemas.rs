//! The schemas of the 2018 engines: our fields express exactly what a client reads from `GET /provisioners/engines`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use kqueen_domain::parameter::{DefaultValue, Field, FieldKind, FieldKind::*, ParameterSchema, Parity};
use serde_json::Value;

/// Compares both schemas of an engine with the recorded ones, and checks which fields an empty form lacks.
#[track_caller]
fn assert_recorded(engine: &str, provisioner: Vec<Field>, cluster: Vec<Field>) {
    let recorded: Value = serde_json::from_str(include_str!("data/engines_2018.json")).unwrap();
    let recorded = recorded.as_array().unwrap().iter().find(|one| one["name"] == engine).expect("a recorded engine");
    for (form, fields) in [("provisioner", provisioner), ("cluster", cluster)] {
        let schema = ParameterSchema::new(fields.clone());
        assert_eq!(schema.to_json(), recorded["parameters"][form], "{engine}, {form}");

        let missing = schema
            .validate("x", &kqueen_domain::secret::SecretMap::new())
            .err()
            .map_or_else(Vec::new, |invalid| invalid.0);
        let missing: Vec<_> = missing.iter().map(|error| error.field.trim_start_matches("x.")).collect();
        let mut expected: Vec<_> = fields.iter().filter(|f| f.required == Some(true) && f.default.is_none()).collect();
        expected.retain(|field| recorded["parameters"][form][field.name.as_ref()]["validators"]["required"] == true);
        assert_eq!(missing, expected.iter().map(|field| field.name.as_ref()).collect::<Vec<_>>(), "{engine}, {form}");
    }
}

#[test]
fn the_manual_engine_matches_the_recording() {
    let cluster = vec![
        Field::required("kubeconfig", "Kubeconfig", YamlFile)
            .help("Only \"username\" and \"password\" are supported for the user description.")
            .keys(&["apiVersion", "kind"]),
    ];
    assert_recorded("kqueen.engines.ManualEngine", vec![], cluster);
}

#[test]
fn the_jenkins_engine_matches_the_recording() {
    assert_recorded(
        "kqueen.engines.JenkinsEngine",
        vec![
            Field::required("username", "Username", Text).order(0),
            Field::required("password", "Password", Password).order(1),
        ],
        vec![
            Field::optional("override_parameters", "Jenkins job parameters", Parameters)
                .help("Overrides the existing parameters of the Jenkins job")
                .order(2),
        ],
    );
}

#[test]
fn the_google_engine_matches_the_recording() {
    let provisioner = vec![
        Field::required("service_account_info", "Service Account File (JSON)", JsonFile)
            .keys(&["private_key_id", "private_key", "client_email", "client_id", "auth_uri", "token_uri"])
            .order(0),
    ];
    let cluster = vec![
        Field::required("node_count_gke", "Node Count", Integer)
            .help(
                "To enable network policy, your cluster must have at least 2 nodes. The recommended minimum cluster size to \
                 run the network policy enforcement is 3 Standard-1 instances",
            )
            .class_name("gke_node_count")
            .default(DefaultValue::Number(1))
            .number()
            .min(1)
            .order(1),
        Field::required(
            "zone",
            "Zone",
            FieldKind::select(&[
                ("us-central1-a", "US - Central 1 - A"),
                ("us-west1-a", "US - West 1 - A"),
                ("us-east1-b", "US - East 1 - B"),
                ("us-east4-a", "US - East 4 - A"),
                ("northamerica-northeast1-a", "North America - Northeast 1 - A"),
                ("southamerica-east1-a", "South America - East 1 - A"),
                ("europe-west1-b", "Europe - West 1 - B"),
                ("europe-west2-a", "Europe - West 2 - A"),
                ("europe-west3-a", "Europe - West 3 - A"),
                ("europe-west4-b", "Europe - West 4 - B"),
                ("asia-northeast1-a", "Asia - Northeast 1 - A"),
                ("asia-east1-a", "Asia - East 1 - A"),
                ("asia-southeast1-a", "Asia - Southeast 1 - A"),
                ("australia-southeast1-a", "Australia Southeast 1 - A"),
            ]),
        )
        .order(2),
        Field::required(
            "machine_type",
            "Machine Type",
            FieldKind::select(&[
                ("n1-standard-1", "Standard: 1 vCPU, 3.75 GB RAM"),
                ("n1-standard-2", "Standard: 2 vCPU, 7.5 GB RAM"),
                ("n1-standard-4", "Standard: 4 vCPU, 15 GB RAM"),
                ("n1-standard-8", "Standard: 8 vCPU, 30 GB RAM"),
                ("n1-standard-16", "Standard: 16 vCPU, 60 GB RAM"),
                ("n1-standard-32", "Standard: 32 vCPU, 120 GB RAM"),
                ("n1-standard-64", "Standard: 64 vCPU, 240 GB RAM"),
            ]),
        )
        .order(3),
        Field::optional("network_range", "Network range CIDR", Text)
            .help("Provide a unique IP range or leave it empty for auto-assignment")
            .placeholder("10.0.0.0/14")
            .cidr()
            .order(4),
        Field::optional(
            "network_policy",
            "Network Policy",
            FieldKind::select(&[("PROVIDER_UNSPECIFIED", "<disabled>"), ("CALICO", "Calico")]),
        )
        .class_name("network-policy")
        .default(DefaultValue::text("PROVIDER_UNSPECIFIED"))
        .order(5),
    ];
    assert_recorded("kqueen.engines.GceEngine", provisioner, cluster);
}

#[test]
fn the_azure_engine_matches_the_recording() {
    assert_recorded(
        "kqueen.engines.AksEngine",
        vec![
            Field::required("client_id", "Application ID", Text).uuid().order(0),
            Field::required("secret", "Secret", Password).order(1),
            Field::required("tenant", "Directory ID", Text).uuid().order(2),
            Field::required("subscription_id", "Subscription ID", Text).secret().uuid().order(3),
            Field::required("resource_group_name", "Resource Group Name", Text).order(4),
        ],
        vec![
            Field::required(
                "location",
                "Location",
                FieldKind::select(&[("eastus", "East US"), ("centralus", "Central US"), ("westeurope", "West Europe")]),
            ),
            Field::required("ssh_key", "SSH Key (public)", TextArea).secret(),
            Field::required("node_count_aks", "Node Count", Integer).default(DefaultValue::Number(1)).number().min(1),
            Field::required(
                "vm_size",
                "VM Size",
                FieldKind::select(&[
                    ("Standard_D1_v2", "Standart: 1 vCPU, 3.5 GiB RAM, 50 GiB SSD"),
                    ("Standard_D2_v2", "Standart: 2 vCPU, 7 GiB RAM, 100 GiB SSD"),
                    ("Standard_D3_v2", "Standart: 4 vCPU, 14 GiB RAM, 200 GiB SSD"),
                    ("Standard_D4_v2", "Standart: 8 vCPU, 28 GiB RAM, 400 GiB SSD"),
                    ("Standard_D5_v2", "Standart: 16 vCPU, 56 GiB RAM, 800 GiB SSD"),
                ]),
            ),
        ],
    );
}

#[test]
fn the_kubespray_engine_matches_the_recording() {
    let provisioner = vec![
        Field::required("auth_url", "Auth URL", Text).url().order(10),
        Field::required("username", "Username", Text).order(20),
        Field::required("password", "Password", Password).order(30),
        Field::new("domain_name", "Domain name", Text).help("Leave empty if using keystone v2").order(40),
        Field::required("project_id", "Project ID", Text).help("Tenant ID if using keystone v2").order(50),
        Field::required("region_name", "Region name", Text).default(DefaultValue::text("RegionOne")).order(60),
        Field::required("identity_interface", "Identity interface", Text)
            .default(DefaultValue::text("public"))
            .order(70),
    ];
    let cluster = vec![
        Field::required("ssh_key_name", "SSH key name", Text).order(10),
        Field::required("ssh_username", "SSH username", Text).default(DefaultValue::text("ubuntu")).order(15),
        Field::required("image_name", "Image name", Text).order(20),
        Field::required("master_flavor", "Master flavor", Text).order(30),
        Field::required("slave_flavor", "Slave flavor", Text).order(30),
        Field::required("master_count", "Master node count", Integer)
            .help("Must be odd number")
            .default(DefaultValue::Number(3))
            .parity(Parity::Odd)
            .order(40),
        Field::required("slave_count", "Slave node count", Integer).default(DefaultValue::Number(1)).order(50),
        Field::new("floating_network", "Floating network name or id", Text)
            .default(DefaultValue::text("public"))
            .order(60),
        Field::new("docker_bip_network", "Docker0 bridge IP", Text)
            .help("network IP and netmask in CIDR format")
            .default(DefaultValue::Null)
            .cidr()
            .order(70),
        Field::new("dns_nameservers", "Comma separated list of nameservers", Text)
            .default(DefaultValue::text("1.1.1.1,8.8.8.8"))
            .ip_list()
            .order(80),
        Field::new("availability_zone", "Availability zone", Text).default(DefaultValue::text("nova")).order(90),
        Field::new("persistent_volume", "Add Persistent Volumes Storage Class", Checkbox)
            .help("Default OpenStack Cinder Storage Class")
            .order(90),
    ];
    assert_recorded("kqueen.engines.OpenstackKubesprayEngine", provisioner, cluster);
}
