//! Every file of test data says where it comes from, and all of them stay small.

use super::{Complaint, File};

const FOLDER: &str = "testdata/";
const SOURCES: &str = "testdata/SOURCES.md";
/// Bytes of all test data together that a clone may carry.
const MOST: u64 = 30_000_000;
/// Folders that are one thing: naming the folder names its files.
const WHOLE: &[&str] = &[".mlpackage", ".mlmodelc"];

pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    let data: Vec<&File> = files.iter().filter(|file| file.path.starts_with(FOLDER)).collect();
    let mut complaints = Vec::new();
    let bytes: u64 = data.iter().map(|file| file.len).sum();
    if bytes > MOST {
        complaints.push(Complaint::new(
            FOLDER,
            format!("holds {bytes} bytes, over {MOST}"),
            "leave large models to the corpus that xtask judges",
        ));
    }
    let page = files.iter().find(|file| file.path == SOURCES).and_then(File::text).unwrap_or_default();
    let named = names(page);
    let mut seen = Vec::new();
    for file in data.iter().filter(|file| file.path != SOURCES) {
        let thing = thing(&file.path[FOLDER.len()..]);
        if named.contains(&thing) {
            seen.push(thing);
        } else if !seen.contains(&thing) {
            seen.push(thing);
            complaints.push(Complaint::new(
                format!("{FOLDER}{thing}"),
                format!("is not named in {SOURCES}"),
                "add a row: its path, where it comes from or what made it, its licence",
            ));
        }
    }
    for stale in named.iter().filter(|named| !seen.contains(named)) {
        complaints.push(Complaint::new(
            SOURCES,
            format!("names `{stale}`, which is not there"),
            "take the row out",
        ));
    }
    complaints
}

/// The file, or the folder around it that is one thing.
fn thing(path: &str) -> &str {
    let mut end = 0;
    for part in path.split('/') {
        end += part.len();
        if WHOLE.iter().any(|ending| part.ends_with(ending)) {
            return &path[..end];
        }
        end += 1;
    }
    path
}

/// What stands in backticks in the first column of the page's tables.
fn names(page: &str) -> Vec<&str> {
    let cells = page.lines().filter_map(|line| line.strip_prefix('|')?.split('|').next());
    cells.filter_map(|cell| cell.trim().strip_prefix('`')?.strip_suffix('`')).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    const PAGE: &str = "# Data\n| file | from |\n| --- | --- |\n| `mil/a.mil` | x |\n| `b.mlpackage` | y |\n\n`c.bin` is not in a table\n";

    #[test]
    fn a_package_is_one_thing() {
        assert_eq!(thing("m/b.mlpackage/Data/weights/weight.bin"), "m/b.mlpackage");
        assert_eq!(thing("m/b.bin"), "m/b.bin");
        assert_eq!(thing("b.mlmodelc"), "b.mlmodelc");
    }

    #[test]
    fn the_first_column_names_files() {
        assert_eq!(names(PAGE), ["mil/a.mil", "b.mlpackage"]);
    }

    #[test]
    fn unnamed_and_stale_names_are_told() {
        let files = [
            file(SOURCES, PAGE),
            file("testdata/b.mlpackage/Manifest.json", "{}"),
            file("testdata/b.mlpackage/Data/x", ""),
            file("testdata/c.bin", ""),
        ];
        let found: Vec<String> = check(&files).iter().map(|c| format!("{} {}", c.place, c.what)).collect();
        assert_eq!(
            found,
            [
                "testdata/c.bin is not named in testdata/SOURCES.md",
                "testdata/SOURCES.md names `mil/a.mil`, which is not there",
            ]
        );
    }

    #[test]
    fn all_data_together_has_a_limit() {
        let mut big = file("testdata/mil/a.mil", "");
        big.len = MOST;
        let package = file("testdata/b.mlpackage/Manifest.json", "{}");
        let found = check(&[file(SOURCES, PAGE), big, package]);
        assert_eq!(found.len(), 1);
        assert!(found[0].what.contains("over 30000000"), "{}", found[0].what);
    }
}
