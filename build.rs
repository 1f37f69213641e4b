//! Embeds the page: each file of `src/dashboard/page/`, the same by gzip where that is smaller, and a digest.
//!
//! This is done when the program is built, not when it starts: it takes longer than a short capture. Writes `page_files.rs`, which
//! `src/dashboard/server/assets.rs` includes.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::error::Error;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

const PAGE: &str = "src/dashboard/page";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PAGE}");
    println!("cargo::rerun-if-changed=build.rs");
    let page = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join(PAGE);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut names = Vec::new();
    collect(&page, "", &mut names)?;
    names.sort_unstable();
    let mut list = String::from("&[\n");
    for (number, name) in names.iter().enumerate() {
        let file = page.join(name);
        let plain = fs::read(&file)?;
        let mut hasher = DefaultHasher::new();
        plain.hash(&mut hasher);
        let digest = hasher.finish();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&plain)?;
        let gzip = encoder.finish()?;
        let mut by_gzip = String::from("None");
        if gzip.len() < plain.len() {
            let kept = out.join(format!("{number}.gz"));
            fs::write(&kept, &gzip)?;
            by_gzip = format!("Some(include_bytes!({kept:?}))");
        }
        writeln!(list, "    PageFile {{ name: {name:?}, plain: include_bytes!({file:?}), gzip: {by_gzip}, digest: {digest} }},")?;
    }
    list.push(']');
    fs::write(out.join("page_files.rs"), list)?;
    Ok(())
}

/// Names of all files, relative to the page's directory, with `/` between their parts.
fn collect(directory: &Path, under: &str, names: &mut Vec<String>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|name| format!("{} is no UTF-8", name.display()))?;
        if name.starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{under}{name}/"), names)?;
        } else {
            names.push(format!("{under}{name}"));
        }
    }
    Ok(())
}
