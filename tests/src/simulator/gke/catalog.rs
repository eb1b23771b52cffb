//! What is offered: places, machine types, versions. Enough to choose from, and not the same everywhere.

use serde::{Deserialize, Serialize};

/// A region and the letters of its zones.
const REGIONS: [(&str, &str); 6] = [
    ("us-central1", "abcf"),
    ("us-east1", "bcd"),
    ("us-west1", "abc"),
    ("europe-west1", "bcd"),
    ("europe-west3", "abc"),
    ("asia-northeast1", "abc"),
];

/// A machine type: name, CPUs, memory in MiB, and the only zones that have it if not all do.
const MACHINES: [(&str, u32, u32, &[&str]); 20] = [
    ("c3-standard-4", 4, 16_384, &["us-central1-a", "us-central1-b", "europe-west1-b"]),
    ("c3-standard-8", 8, 32_768, &["us-central1-a", "us-central1-b", "europe-west1-b"]),
    ("e2-highcpu-2", 2, 2_048, &[]),
    ("e2-highmem-2", 2, 16_384, &[]),
    ("e2-medium", 2, 4_096, &[]),
    ("e2-micro", 2, 1_024, &[]),
    ("e2-small", 2, 2_048, &[]),
    ("e2-standard-16", 16, 65_536, &[]),
    ("e2-standard-2", 2, 8_192, &[]),
    ("e2-standard-4", 4, 16_384, &[]),
    ("e2-standard-8", 8, 32_768, &[]),
    ("f1-micro", 1, 614, &[]),
    ("n1-standard-1", 1, 3_840, &[]),
    ("n1-standard-2", 2, 7_680, &[]),
    ("n1-standard-4", 4, 15_360, &[]),
    ("n2-standard-2", 2, 8_192, &[]),
    ("n2-standard-4", 4, 16_384, &[]),
    ("n2-standard-8", 8, 32_768, &[]),
    ("n2d-standard-2", 2, 8_192, &["us-central1-a", "us-central1-c", "us-central1-f", "us-east1-b", "europe-west1-b"]),
    ("t2a-standard-1", 1, 4_096, &["us-central1-a", "us-central1-b", "us-central1-f"]),
];

/// A machine type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) name: &'static str,
    pub(super) cpus: u32,
    pub(super) memory_mib: u32,
    only: &'static [&'static str],
}

impl Machine {
    /// All there are, in the order of their names.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        MACHINES.into_iter().map(|(name, cpus, memory_mib, only)| Self { name, cpus, memory_mib, only })
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::all().find(|machine| machine.name == name)
    }

    pub(super) fn is_in(&self, zone: &str) -> bool {
        self.only.is_empty() || self.only.contains(&zone)
    }

    pub(super) fn is_shared_core(&self) -> bool {
        matches!(self.name, "e2-medium" | "e2-micro" | "e2-small" | "f1-micro")
    }
}

pub(super) fn regions() -> impl Iterator<Item = &'static str> {
    REGIONS.into_iter().map(|(region, _)| region)
}

/// The zones of a region; none if there is no such region.
pub(super) fn zones_of(region: &str) -> Vec<String> {
    let found = REGIONS.into_iter().find(|(name, _)| *name == region);
    found.map(|(name, letters)| letters.chars().map(|letter| format!("{name}-{letter}")).collect()).unwrap_or_default()
}

/// All zones, in the order of their regions.
pub(super) fn zones() -> Vec<String> {
    regions().flat_map(zones_of).collect()
}

/// The region of a place, which is itself a region or a zone. `None` if there is no such place.
pub(super) fn region_of(place: &str) -> Option<&'static str> {
    let is_there = |region: &&str| *region == place || zones_of(region).iter().any(|zone| zone == place);
    regions().find(is_there)
}

/// Whether a place is a zone.
pub(super) fn is_zone(place: &str) -> bool {
    region_of(place).is_some_and(|region| region != place)
}

/// The zones in which nodes of a cluster at that place are, unless it says which: a regional cluster has three.
pub(super) fn node_zones(place: &str) -> Vec<String> {
    if is_zone(place) { vec![place.to_owned()] } else { zones_of(place).into_iter().take(3).collect() }
}

/// The versions that are offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// For control planes and nodes, the newest first.
    pub valid: Vec<String>,
    /// What a cluster gets that does not say.
    pub default: String,
    /// Name, default, valid ones.
    pub channels: Vec<(String, String, Vec<String>)>,
}

impl Default for Versions {
    fn default() -> Self {
        let [newest, regular, stable, old] =
            ["1.35.0-gke.1", "1.34.1-gke.100", "1.33.5-gke.200", "1.32.9-gke.300"].map(str::to_owned);
        let channel = |name: &str, versions: &[&String]| {
            (name.to_owned(), versions[0].clone(), versions.iter().map(|version| (*version).clone()).collect())
        };
        Self {
            channels: vec![
                channel("RAPID", &[&newest, &regular]),
                channel("REGULAR", &[&regular, &newest, &stable]),
                channel("STABLE", &[&stable, &regular]),
                channel("EXTENDED", &[&regular, &stable, &old]),
            ],
            default: regular.clone(),
            valid: vec![newest, regular, stable, old],
        }
    }
}

impl Versions {
    /// The version that a caller means: "latest", "-", "1.34", "1.34.1", "1.34.1-gke.100" or nothing. Otherwise the refusal.
    pub(super) fn resolve(&self, asked: &str, channel: Option<&str>) -> Result<String, String> {
        let channel = channel.filter(|name| !matches!(*name, "UNSPECIFIED" | ""));
        let channel = self.channels.iter().find(|(name, ..)| Some(name.as_str()) == channel);
        let (default, valid) = channel.map_or((&self.default, &self.valid), |(_, default, valid)| (default, valid));
        match asked {
            "" | "-" => return Ok(default.clone()),
            "latest" => {
                let newest = self.valid.iter().find(|version| valid.contains(version));
                return Ok(newest.unwrap_or(default).clone());
            }
            _ => {}
        }
        if valid.iter().any(|version| version == asked) {
            return Ok(asked.to_owned());
        }
        if asked.contains("-gke.") {
            return Err(match channel {
                Some((name, ..)) if self.valid.iter().any(|version| version == asked) => {
                    format!(
                        "Master version must be one of \"{name}\" channel supported versions [{}].",
                        valid.join(", ")
                    )
                }
                _ => format!("Master version \"{asked}\" is unsupported."),
            });
        }
        let is_of = |version: &&String| version.strip_prefix(asked).is_some_and(|rest| rest.starts_with(['.', '-']));
        let found = valid.iter().find(is_of).cloned();
        found.ok_or_else(|| format!("No valid versions with the prefix \"{asked}\" found."))
    }
}

/// The numbers of a version, to compare them.
pub(super) fn order(version: &str) -> Vec<u64> {
    version.split(['.', '-']).filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_as_the_documentation_says() {
        let versions = Versions::default();
        for (asked, channel, found) in [
            ("", None, "1.34.1-gke.100"),
            ("-", Some("STABLE"), "1.33.5-gke.200"),
            ("latest", None, "1.35.0-gke.1"),
            ("latest", Some("STABLE"), "1.34.1-gke.100"),
            ("1.33", None, "1.33.5-gke.200"),
            ("1.34.1", None, "1.34.1-gke.100"),
            ("1.32.9-gke.300", None, "1.32.9-gke.300"),
        ] {
            assert_eq!(versions.resolve(asked, channel), Ok(found.to_owned()), "{asked} {channel:?}");
        }
        for (asked, channel, refusal) in [
            ("1.3", None, "No valid versions with the prefix \"1.3\" found."),
            ("1.20", None, "No valid versions with the prefix \"1.20\" found."),
            ("1.20.8-gke.900", None, "Master version \"1.20.8-gke.900\" is unsupported."),
            (
                "1.32.9-gke.300",
                Some("STABLE"),
                "Master version must be one of \"STABLE\" channel supported versions [1.33.5-gke.200, 1.34.1-gke.100].",
            ),
        ] {
            assert_eq!(versions.resolve(asked, channel), Err(refusal.to_owned()));
        }
        assert!(order("1.34.1-gke.100") > order("1.33.5-gke.200") && order("1.34.10") > order("1.34.9-gke.1"));
    }

    #[test]
    fn places_are_regions_and_their_zones() {
        assert_eq!(region_of("us-central1-f"), Some("us-central1"));
        assert_eq!((region_of("us-central1"), region_of("us-central1-d")), (Some("us-central1"), None));
        assert_eq!(node_zones("us-central1"), ["us-central1-a", "us-central1-b", "us-central1-c"]);
        assert!(is_zone("us-east1-b") && !is_zone("us-east1") && !is_zone("nowhere"));
        assert!(!Machine::named("t2a-standard-1").unwrap().is_in("us-east1-b"));
    }
}
