//! The page's files: embedded and compressed by `build.rs`, named by the hash of all of them.
//!
//! Owns their paths and types. Knows no connection. Invariants: a file under `s/HASH/` never changes, so it may be kept for ever; each file of the directory
//! is served, of a known type (a test compares them).

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use ring::digest;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};

/// A file of `src/dashboard/page/`, as `build.rs` lists it.
struct PageFile {
    /// Below that directory.
    name: &'static str,
    plain: &'static [u8],
    /// By gzip, where that is smaller.
    gzip: Option<&'static [u8]>,
    /// Changes with what is in it.
    digest: u64,
}

/// All of them.
const FILES: &[PageFile] = include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

const INDEX: &str = "index.html";
/// Hex digits of the hash: 64 bits.
const HASH_DIGITS: usize = 16;

/// A file as it is served.
#[derive(Clone, Debug)]
pub(super) struct Asset {
    /// `Content-Type`.
    pub(super) content_type: &'static str,
    /// As it is.
    pub(super) plain: Bytes,
    /// By gzip, where that is smaller.
    pub(super) gzip: Option<Bytes>,
}

/// All files.
pub(super) struct Assets {
    /// By their paths, such as `/s/0123456789abcdef/main.js`.
    by_path: BTreeMap<String, Asset>,
    index: Asset,
    index_tag: String,
}

impl Assets {
    /// The embedded ones.
    ///
    /// # Errors
    /// When the index is no UTF-8 or cannot be compressed.
    pub(super) fn embedded() -> io::Result<Self> {
        Self::of(FILES)
    }

    fn of(files: &[PageFile]) -> io::Result<Self> {
        let digests: Vec<[u8; 8]> = files.iter().map(|file| file.digest.to_le_bytes()).collect();
        let hash = hash(files.iter().zip(&digests).flat_map(|(file, digest)| [file.name.as_bytes(), &[0], digest]));
        let mut by_path = BTreeMap::new();
        let mut index = String::new();
        for file in files {
            if file.name == INDEX {
                index = with_links(std::str::from_utf8(file.plain).map_err(io::Error::other)?, files, &hash);
            } else {
                by_path.insert(format!("/s/{hash}/{}", file.name), Asset::from(file));
            }
        }
        let index_tag = format!("\"{}\"", self::hash([index.as_bytes()].into_iter()));
        Ok(Self { by_path, index: Asset::made(INDEX, index.into())?, index_tag })
    }

    /// The page itself with its tag.
    pub(super) fn index(&self) -> (&Asset, &str) {
        (&self.index, &self.index_tag)
    }

    /// A file by its path.
    pub(super) fn get(&self, path: &str) -> Option<&Asset> {
        self.by_path.get(path)
    }
}

impl Asset {
    /// One that is made when the program starts.
    fn made(name: &str, plain: Bytes) -> io::Result<Self> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&plain)?;
        let gzip = Some(encoder.finish()?).filter(|gzip| gzip.len() < plain.len()).map(Bytes::from);
        Ok(Self { content_type: content_type(name), plain, gzip })
    }
}

impl From<&PageFile> for Asset {
    fn from(file: &PageFile) -> Self {
        let gzip = file.gzip.map(Bytes::from_static);
        Self { content_type: content_type(file.name), plain: Bytes::from_static(file.plain), gzip }
    }
}

fn hash<'a>(parts: impl Iterator<Item = &'a [u8]>) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.for_each(|part| context.update(part));
    let mut text = String::new();
    for byte in &context.finish().as_ref()[..HASH_DIGITS / 2] {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The page with its links to files of the list, such as `src="main.js"`, leading to where these are.
fn with_links(index: &str, files: &[PageFile], hash: &str) -> String {
    let mut text = String::with_capacity(index.len() + 256);
    let mut rest = index;
    loop {
        let next = ["src=\"", "href=\""].iter().filter_map(|start| rest.find(start).map(|at| at + start.len())).min();
        let Some(at) = next else { break };
        let (before, behind) = rest.split_at(at);
        text.push_str(before);
        let link = behind.split('"').next().unwrap_or_default();
        let name = link.strip_prefix("./").unwrap_or(link);
        if files.iter().any(|file| file.name == name) {
            // Writing to a String cannot fail.
            let _ = write!(text, "s/{hash}/{name}");
            rest = &behind[link.len()..];
        } else {
            rest = behind;
        }
    }
    text + rest
}

fn content_type(name: &str) -> &'static str {
    let last = name.rsplit('/').next().unwrap_or_default();
    if last.starts_with("LICENSE") || last == "VERSION" {
        return "text/plain; charset=utf-8";
    }
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs;
    use std::io::Read as _;
    use std::path::Path;

    fn collect(directory: &Path, under: &str, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let name = format!("{under}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                collect(&entry.path(), &format!("{name}/"), found);
            } else {
                found.insert(name);
            }
        }
    }

    #[test]
    fn the_list_is_the_directory() {
        let mut there = BTreeSet::new();
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dashboard/page"), "", &mut there);
        let listed: BTreeSet<String> = FILES.iter().map(|file| file.name.to_owned()).collect();
        assert_eq!(listed, there);
        assert_eq!(listed.len(), FILES.len(), "each once");
        let unknown: Vec<_> =
            FILES.iter().map(|file| file.name).filter(|name| content_type(name) == "application/octet-stream").collect();
        assert!(unknown.is_empty(), "a type for {unknown:?}");
        for file in FILES {
            let Some(gzip) = file.gzip else { continue };
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(gzip).read_to_end(&mut plain).unwrap();
            assert!(plain == file.plain && gzip.len() < plain.len(), "{}", file.name);
        }
    }

    #[test]
    fn links_to_files_lead_to_them_and_others_stay() {
        let index = "<link href=\"a.css\"><script src=\"./js/main.js\"></script><a href=\"#x\"></a><a href=\"other\">src=\"";
        let file =
            |name, plain: &'static [u8]| PageFile { name, plain, gzip: None, digest: plain.iter().copied().map(u64::from).sum() };
        let assets = Assets::of(&[file("index.html", index.as_bytes()), file("a.css", b"x"), file("js/main.js", b"y")]).unwrap();
        let hash = assets.by_path.keys().next().unwrap()[3..3 + HASH_DIGITS].to_owned();
        let made = String::from_utf8(assets.index().0.plain.to_vec()).unwrap();
        assert_eq!(
            made,
            format!(
                "<link href=\"s/{hash}/a.css\"><script src=\"s/{hash}/js/main.js\"></script><a href=\"#x\"></a><a \
                 href=\"other\">src=\""
            )
        );
        assert!(assets.get(&format!("/s/{hash}/js/main.js")).is_some_and(|asset| asset.content_type.contains("javascript")));
        assert!(assets.get(&format!("/s/{hash}/index.html")).is_none() && assets.get("/s/x/a.css").is_none());
        let other = Assets::of(&[file("index.html", index.as_bytes()), file("a.css", b"z"), file("js/main.js", b"y")]).unwrap();
        assert_ne!(other.index_tag, assets.index_tag);
        assert!(other.get(&format!("/s/{hash}/a.css")).is_none(), "another content, another path");
    }

    #[test]
    fn a_file_is_compressed_where_that_helps() {
        let text = "to be ".repeat(1000);
        let asset = Asset::made("a.js", text.clone().into()).unwrap();
        let mut plain = String::new();
        flate2::read::GzDecoder::new(&asset.gzip.unwrap()[..]).read_to_string(&mut plain).unwrap();
        assert_eq!(plain, text);
        assert!(Asset::made("a.png", Bytes::from_static(b"x")).unwrap().gzip.is_none());
    }
}
