//! What is offered: regions, VM sizes, versions. Enough to choose from, and not the same everywhere.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) name: &'static str,
    /// `West Europe`
    pub(super) title: &'static str,
    pub(super) geography: &'static str,
    pub(super) zones: &'static [&'static str],
}

const REGIONS: [(&str, &str, &str, &[&str]); 8] = [
    ("eastus", "East US", "US", &["1", "2", "3"]),
    ("eastus2", "East US 2", "US", &["1", "2", "3"]),
    ("germanywestcentral", "Germany West Central", "Europe", &["1", "2", "3"]),
    ("northeurope", "North Europe", "Europe", &["1", "2", "3"]),
    ("southeastasia", "Southeast Asia", "Asia Pacific", &["1", "2", "3"]),
    ("westeurope", "West Europe", "Europe", &["1", "2", "3"]),
    ("westus", "West US", "US", &[]),
    ("westus2", "West US 2", "US", &["1", "2", "3"]),
];

impl Region {
    /// All there are, in the order of their names.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        REGIONS.into_iter().map(|(name, title, geography, zones)| Self { name, title, geography, zones })
    }

    /// Both `westeurope` and `West Europe` name it, as with the real one.
    pub(super) fn named(name: &str) -> Option<Self> {
        let plain = |name: &str| name.replace(' ', "").to_lowercase();
        Self::all().find(|region| region.name == plain(name))
    }
}

/// A VM size: name, quota family, CPUs, memory in MiB, and the only regions that have it if not all do.
const SIZES: [(&str, &str, u32, u32, &[&str]); 19] = [
    ("Standard_A1_v2", "standardAv2Family", 1, 2_048, &[]),
    ("Standard_B2s", "standardBSFamily", 2, 4_096, &[]),
    ("Standard_B4ms", "standardBSFamily", 4, 16_384, &[]),
    ("Standard_D16s_v5", "standardDSv5Family", 16, 65_536, &[]),
    ("Standard_D2as_v5", "standardDASv5Family", 2, 8_192, &[]),
    ("Standard_D2ps_v5", "standardDPSv5Family", 2, 8_192, &["eastus", "westeurope", "westus2"]),
    ("Standard_D2s_v3", "standardDSv3Family", 2, 8_192, &[]),
    ("Standard_D2s_v5", "standardDSv5Family", 2, 8_192, &[]),
    ("Standard_D4as_v5", "standardDASv5Family", 4, 16_384, &[]),
    ("Standard_D4s_v3", "standardDSv3Family", 4, 16_384, &[]),
    ("Standard_D4s_v5", "standardDSv5Family", 4, 16_384, &[]),
    ("Standard_D8s_v5", "standardDSv5Family", 8, 32_768, &[]),
    ("Standard_DS2_v2", "standardDSv2Family", 2, 7_168, &[]),
    ("Standard_E2s_v5", "standardESv5Family", 2, 16_384, &[]),
    ("Standard_E4s_v5", "standardESv5Family", 4, 32_768, &[]),
    ("Standard_F2s_v2", "standardFSv2Family", 2, 4_096, &[]),
    ("Standard_F4s_v2", "standardFSv2Family", 4, 8_192, &[]),
    ("Standard_M128s", "standardMSFamily", 128, 2_097_152, &["eastus", "westeurope"]),
    ("Standard_NC4as_T4_v3", "Standard NCASv3_T4 Family", 4, 28_672, &["eastus", "westeurope", "southeastasia"]),
];

/// A VM size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) name: &'static str,
    pub(super) family: &'static str,
    pub(super) cpus: u32,
    pub(super) memory_mib: u32,
    only: &'static [&'static str],
}

impl Size {
    /// All there are, in the order of their names.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        SIZES.into_iter().map(|(name, family, cpus, memory_mib, only)| Self { name, family, cpus, memory_mib, only })
    }

    /// Names of sizes are the same in capitals and not.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::all().find(|size| size.name.eq_ignore_ascii_case(name))
    }

    pub(super) fn is_in(&self, region: &str) -> bool {
        self.only.is_empty() || self.only.contains(&region)
    }

    pub(super) fn is_arm(&self) -> bool {
        self.name.contains("ps_")
    }
}

/// The families that quotas are counted for, in the order of their names.
pub(super) fn families() -> Vec<&'static str> {
    let mut families: Vec<&str> = Size::all().map(|size| size.family).collect();
    families.sort_unstable();
    families.dedup();
    families
}

/// A minor version and what of it is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minor {
    /// `1.34`
    pub version: String,
    pub is_preview: bool,
    /// The newest last.
    pub patches: Vec<String>,
}

/// The versions that are offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The newest first.
    pub minors: Vec<Minor>,
    /// The minor version that a cluster gets that does not say.
    pub default: String,
}

impl Default for Versions {
    fn default() -> Self {
        let minor = |version: &str, is_preview: bool, patches: &[u32]| Minor {
            version: version.to_owned(),
            is_preview,
            patches: patches.iter().map(|patch| format!("{version}.{patch}")).collect(),
        };
        Self {
            minors: vec![
                minor("1.36", true, &[0]),
                minor("1.35", false, &[0, 1]),
                minor("1.34", false, &[1, 2]),
                minor("1.33", false, &[5, 6]),
                minor("1.32", false, &[9, 10]),
            ],
            default: "1.34".to_owned(),
        }
    }
}

impl Versions {
    /// The version that a caller means: `1.34`, `1.34.2` or nothing.
    pub(super) fn resolve(&self, asked: &str) -> Option<String> {
        let asked = if asked.is_empty() { &self.default } else { asked };
        let of_minor = self.minors.iter().find(|minor| minor.version == asked);
        let exact = || self.patches().find(|patch| *patch == asked);
        of_minor.and_then(|minor| minor.patches.last()).or_else(exact).cloned()
    }

    fn patches(&self) -> impl Iterator<Item = &String> {
        self.minors.iter().flat_map(|minor| &minor.patches)
    }

    /// What a cluster of that version may be upgraded to: newer patches, and those of the next minor version. With each whether it is
    /// a preview.
    pub(super) fn upgrades(&self, version: &str) -> Vec<(&str, bool)> {
        let from = order(version);
        let (major, minor) = (from.first().copied().unwrap_or(0), from.get(1).copied().unwrap_or(0));
        let is_upgrade = |patch: &str| {
            let to = order(patch);
            to > from && to.first() == Some(&major) && to.get(1).is_some_and(|next| *next <= minor + 1)
        };
        let offered = self.minors.iter().flat_map(|minor| minor.patches.iter().map(|patch| (patch, minor.is_preview)));
        offered.filter(|(patch, _)| is_upgrade(patch)).map(|(patch, preview)| (patch.as_str(), preview)).collect()
    }

    /// As the API lists them.
    pub(super) fn to_json(&self) -> Value {
        let minor = |minor: &Minor| {
            let patch = |patch: &String| {
                let upgrades: Vec<&str> = self.upgrades(patch).into_iter().map(|(version, _)| version).collect();
                (patch.clone(), json!({"upgrades": upgrades}))
            };
            let patches: serde_json::Map<String, Value> = minor.patches.iter().map(patch).collect();
            let mut shown = json!({
                "version": minor.version, "capabilities": {"supportPlan": ["KubernetesOfficial", "AKSLongTermSupport"]},
                "patchVersions": patches,
            });
            // Neither is there where it is not so.
            if minor.version == self.default {
                shown["isDefault"] = true.into();
            }
            if minor.is_preview {
                shown["isPreview"] = true.into();
            }
            shown
        };
        json!({"values": self.minors.iter().map(minor).collect::<Vec<_>>()})
    }
}

/// The numbers of a version, to compare them.
pub(super) fn order(version: &str) -> Vec<u64> {
    version.split('.').filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_as_the_documentation_says() {
        let versions = Versions::default();
        for (asked, found) in [
            ("", Some("1.34.2")),
            ("1.33", Some("1.33.6")),
            ("1.32.9", Some("1.32.9")),
            ("1.3", None),
            ("1.20", None),
            ("1.34.9", None),
        ] {
            assert_eq!(versions.resolve(asked).as_deref(), found, "{asked}");
        }
        assert_eq!(versions.upgrades("1.33.5"), [("1.34.1", false), ("1.34.2", false), ("1.33.6", false)]);
        assert_eq!(versions.upgrades("1.35.1"), [("1.36.0", true)]);
    }

    #[test]
    fn sizes_and_regions_are_not_the_same_everywhere() {
        assert_eq!(Region::named("West Europe"), Region::named("westeurope"));
        assert_eq!(Region::named("mars"), None);
        let arm = Size::named("standard_d2ps_v5").unwrap();
        assert!(arm.is_arm() && arm.is_in("westus2") && !arm.is_in("northeurope"));
        assert!(families().contains(&"standardDSv5Family") && families().len() == 11);
    }
}
