//! What ARCHITECTURE.md names exists: files, folders, and the tests that fail if a step of a checklist is forgotten.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What the document has in backticks, without examples such as `tests/src/contract/<kind>.rs`.
fn named() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let spans = text.split("```").step_by(2).flat_map(|part| part.split('`').skip(1).step_by(2));
    spans.filter(|span| !span.contains(['<', '…', ' '])).map(str::to_owned).collect()
}

/// All files and folders of the workspace, relative to its root.
fn paths() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = ["adapters", "app", "config", "domain", "openapi", "tests"].map(PathBuf::from).to_vec();
    while let Some(folder) = folders.pop() {
        found.push(folder.to_str().unwrap().to_owned());
        for entry in std::fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(path),
                false => found.push(path.to_str().unwrap().to_owned()),
            }
        }
    }
    found
}

#[test]
fn the_files_it_names_exist() {
    let paths = paths();
    let named: Vec<_> = named().into_iter().filter(|name| name.contains('/') && !name.starts_with('/')).collect();
    assert!(named.len() > 40, "{named:?}");
    let missing: Vec<_> = named
        .iter()
        // What is built.
        .filter(|name| !name.starts_with("target/"))
        .filter(|name| {
            let below = format!("/{}", name.trim_end_matches('/'));
            !paths.iter().any(|path| format!("/{path}").ends_with(&below))
        })
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_tests_it_names_exist() {
    let sources: String = paths()
        .iter()
        .filter(|path| path.ends_with(".rs"))
        .map(|path| std::fs::read_to_string(root().join(path)).unwrap())
        .collect();
    // The names of tests are sentences; other names in the document have one or two words.
    let is_sentence = |name: &String| {
        name.split('_').count() > 2 && name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
    };
    let named: Vec<_> = named().into_iter().filter(is_sentence).collect();
    assert!(named.len() > 12, "{named:?}");
    let missing: Vec<_> = named.iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
