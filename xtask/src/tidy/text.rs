//! What no text of the repository may hold: places that exist on one machine only, and notes without a reason.

use super::{Complaint, File};

/// Folders that lie elsewhere, or nowhere, on the reader's machine. In parts, so that this file does not hold them.
const MACHINE: &[&str] =
    &[concat!("/", "work/"), concat!("/", "root/"), concat!("/", "home/"), concat!("/", "Users/")];

/// Settings that choose a package registry; which one is the reader's business.
const SETTINGS: &[&str] = &[
    concat!("index", "-url"),
    concat!("replace", "-with"),
    concat!("find", "-links"),
    concat!("trusted", "-host"),
];

/// Where Cargo.lock says that crates come from.
const CRATES: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Marks of unfinished work. In parts, as above.
const MARKS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME")];

pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in files {
        let Some(text) = file.text() else { continue };
        for (index, line) in text.lines().enumerate() {
            let place = || format!("{}:{}", file.path, index + 1);
            if let Some(folder) = machine_path(line) {
                let advice = "name it by its meaning, its public source, or a path from the workspace root";
                complaints.push(Complaint::new(
                    place(),
                    format!("holds the machine's path {folder}"),
                    advice,
                ));
            }
            if let Some(found) = registry(file.name(), line) {
                let advice = "leave registries to the reader's own configuration";
                complaints.push(Complaint::new(
                    place(),
                    format!("chooses a registry or a private host: {found}"),
                    advice,
                ));
            }
            if let Some(mark) = unexplained(line) {
                let advice = format!("say what is missing and why (`{mark}: …`), or do it");
                complaints.push(Complaint::new(place(), format!("holds a {mark} without a reason"), advice));
            }
        }
    }
    complaints
}

/// A folder of one machine where a path begins with it.
fn machine_path(line: &str) -> Option<&'static str> {
    let begins = |at: usize| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "_-.*)}]>$/".contains(c))
    };
    MACHINE.iter().find(|folder| line.match_indices(**folder).any(|(at, _)| begins(at))).copied()
}

/// A setting that chooses a registry, another source of crates, or a host that only a private network knows.
fn registry<'a>(name: &str, line: &'a str) -> Option<&'a str> {
    if let Some(setting) =
        SETTINGS.iter().find_map(|setting| line.find(setting).map(|at| &line[at..at + setting.len()]))
    {
        return Some(setting);
    }
    if name == "Cargo.lock" {
        let source = line.strip_prefix("source = ")?.trim_matches('"');
        return (source != CRATES).then_some(source);
    }
    line.match_indices("://").find_map(|(at, mark)| {
        let rest = &line[at + mark.len()..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-._".contains(c)).unwrap_or(rest.len());
        let host = rest[..end].trim_end_matches('.');
        is_private(host).then_some(host)
    })
}

fn is_private(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    let number = last.bytes().all(|b| b.is_ascii_digit());
    !last.is_empty() && (number || ["internal", "local", "corp", "lan", "intranet"].contains(&last))
}

/// A mark that is not followed by `: ` or `(…): ` and three words.
fn unexplained(line: &str) -> Option<&'static str> {
    for mark in MARKS {
        for (at, _) in line.match_indices(mark) {
            let whole = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
            let rest = &line[at + mark.len()..];
            if !whole(line[..at].chars().next_back()) || !whole(rest.chars().next()) {
                continue;
            }
            let rest =
                rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or(rest, |(_, rest)| rest);
            let reason = rest.strip_prefix(':').unwrap_or_default();
            if reason.split_whitespace().count() < 3 {
                return Some(mark);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    #[test]
    fn a_path_of_a_machine_is_found_where_it_begins() {
        let [work, root, ..] = MACHINE else { panic!() };
        for bad in [
            format!("see {work}x"),
            format!("\"{root}.cargo\""),
            format!("--out={work}a"),
            (*work).to_owned(),
        ] {
            assert!(machine_path(&bad).is_some(), "{bad}");
        }
        for good in
            [format!("frame{work}x"), format!("$HERE{work}x"), format!("..{root}x"), "/works/x".to_owned()]
        {
            assert!(machine_path(&good).is_none(), "{good}");
        }
    }

    #[test]
    fn registries_and_private_hosts_are_found() {
        let setting = SETTINGS[0];
        assert_eq!(registry("pip.conf", &format!("{setting} = x")), Some(setting));
        assert_eq!(registry("Cargo.lock", &format!("source = \"{CRATES}\"")), None);
        assert_eq!(registry("Cargo.lock", "source = \"git+https://x.org/y\""), Some("git+https://x.org/y"));
        let host = concat!("mirror.", "internal");
        assert_eq!(registry("a.md", &format!("<http://{host}/simple>")), Some(host));
        let address = concat!("10.", "0.0.7");
        assert_eq!(registry("a.md", &format!("http://{address}:80")), Some(address));
        for good in
            ["https://github.com/apple/coremltools.", "see http://", "std::fs", "https://docs.rs/x/1.0.7"]
        {
            assert_eq!(registry("a.md", good), None, "{good}");
        }
    }

    #[test]
    fn a_mark_needs_a_reason() {
        let [todo, fixme] = MARKS else { panic!() };
        for bad in [format!("// {todo}"), format!("// {fixme}: later"), format!("{todo} write this part too")]
        {
            assert!(unexplained(&bad).is_some(), "{bad}");
        }
        for good in [
            format!("// {todo}: the format gives no length here"),
            format!("// {fixme}(dims): ranks over five are refused"),
            format!("MY{todo}S"),
            "todo!".to_owned(),
        ] {
            assert!(unexplained(&good).is_none(), "{good}");
        }
    }

    #[test]
    fn complaints_name_file_and_line() {
        let text = format!("fine\nsee {}x\n", MACHINE[0]);
        let found = check(&[file("docs/a.md", &text)]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "docs/a.md:2");
    }
}
