//! The pages: every relative link leads to a file and its anchor to a heading, and `docs/README.md` links every page under `docs/`.
//!
//! Anchors are made as GitHub makes them. Links in code are none.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Markdown file below a directory, in order.
fn pages_below(directory: &str) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![root().join(directory)];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).expect("a directory of pages") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.insert(path);
            }
        }
    }
    found
}

/// The lines of a page that are in no block of code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    page.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !is_fence && !in_code
    })
}

/// The targets of a page's links.
fn targets(page: &str) -> Vec<String> {
    let text = prose(page).collect::<Vec<_>>().join("\n");
    // What stands between two backticks is code.
    let text: Vec<&str> = text.split('`').step_by(2).collect();
    let text = text.join("");
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// The anchors of a page's headings: lower case, without punctuation, a hyphen for each space, a number for those that come again.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut seen: HashMap<String, u32> = HashMap::new();
    let heading = |line: &str| {
        let text = line.trim_start_matches('#');
        let level = line.len() - text.len();
        (1..=6).contains(&level).then(|| text.strip_prefix(' ').map(str::to_owned)).flatten()
    };
    prose(page)
        .filter_map(heading)
        .map(|heading| {
            let kept = heading.trim().to_lowercase().replace(' ', "-");
            let anchor: String = kept.chars().filter(|&c| c.is_alphanumeric() || c == '-' || c == '_').collect();
            let count = seen.entry(anchor.clone()).or_insert(0);
            *count += 1;
            if *count == 1 { anchor } else { format!("{anchor}-{}", *count - 1) }
        })
        .collect()
}

/// Where a link of a page leads: the file and the anchor; `None` for another site.
fn destination(page: &Path, target: &str) -> Option<(PathBuf, Option<String>)> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor.to_owned())));
    let path = if file.is_empty() { page.to_owned() } else { page.parent().expect("a page is in a directory").join(file) };
    Some((path, anchor))
}

/// What is wrong with a link, if anything is.
fn fault(page: &Path, target: &str) -> Option<String> {
    let (path, anchor) = destination(page, target)?;
    let says = |what: &str| Some(format!("{}: ({target}) {what}", page.strip_prefix(root()).unwrap_or(page).display()));
    if !path.exists() {
        return says("leads to no file");
    }
    let anchor = anchor?;
    match fs::read_to_string(&path) {
        Ok(text) if anchors(&text).contains(&anchor) => None,
        Ok(_) => says("leads to no heading"),
        Err(_) => says("has an anchor and leads to no page"),
    }
}

#[test]
fn every_link_leads_somewhere() {
    let mut pages = pages_below("docs");
    pages.extend(pages_below("perf"));
    pages.extend(["README.md", "CHANGELOG.md"].map(|page| root().join(page)));
    let mut faults = Vec::new();
    for page in &pages {
        let text = fs::read_to_string(page).expect("a page in UTF-8");
        faults.extend(targets(&text).iter().filter_map(|target| fault(page, target)));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_index_has_every_page() {
    let index = root().join("docs/README.md");
    let text = fs::read_to_string(&index).expect("docs/README.md");
    let linked: BTreeSet<PathBuf> = targets(&text)
        .iter()
        .filter_map(|target| destination(&index, target))
        .filter_map(|(path, _)| path.canonicalize().ok())
        .collect();
    let missing: Vec<String> = pages_below("docs")
        .iter()
        .filter(|page| **page != index && !linked.contains(&page.canonicalize().expect("a page that is there")))
        .map(|page| page.display().to_string())
        .collect();
    assert!(missing.is_empty(), "docs/README.md has no link to {}", missing.join(", "));
}

#[test]
fn links_and_headings_are_read_as_github_reads_them() {
    let page =
        "# One two, `three`\n## Again\n\n## Again\n#hash\n```\n# no heading\n[no](link)\n```\n[a](b.md#c) `[no](d)` [`e`](f)\n";
    assert_eq!(targets(page), ["b.md#c", "f"]);
    assert_eq!(anchors(page), ["again", "again-1", "one-two-three"].map(str::to_owned).into());
    let missing = fault(&root().join("README.md"), "docs/README.md#no-such-heading").expect("a fault");
    assert!(missing.contains("leads to no heading"), "{missing}");
    assert!(fault(&root().join("README.md"), "docs/no-such-page.md").is_some());
    assert_eq!(fault(&root().join("README.md"), "https://example.org/#x"), None);
}
