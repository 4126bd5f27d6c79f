//! Files of code that a person can read at a sitting.

use super::{Complaint, File};

/// From here on a file is listed.
pub(super) const LONG: usize = 400;
/// From here on it is refused.
const TOO_LONG: usize = 700;

/// Files of hand-written code over [`LONG`] lines, the longest first.
pub(super) fn long(files: &[File]) -> Vec<(&str, usize)> {
    let mut long: Vec<_> = files
        .iter()
        .filter(|file| !file.generated && is_code(file.name()))
        .filter_map(|file| Some((&*file.path, file.text()?.lines().count())))
        .filter(|&(_, lines)| lines > LONG)
        .collect();
    long.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    long
}

pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    let too_long = long(files).into_iter().filter(|&(_, lines)| lines > TOO_LONG);
    too_long
        .map(|(path, lines)| {
            Complaint::new(
                path,
                format!("has {lines} lines, over {TOO_LONG}"),
                "split it: one concern a file",
            )
        })
        .collect()
}

fn is_code(name: &str) -> bool {
    [".rs", ".py", ".sh"].iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    #[test]
    fn long_code_is_listed_and_longer_code_refused() {
        let mut files = vec![
            file("a.rs", &"x\n".repeat(400)),
            file("b.rs", &"x\n".repeat(401)),
            file("c.py", &"x\n".repeat(701)),
            file("d.json", &"x\n".repeat(900)),
        ];
        assert_eq!(long(&files), [("c.py", 701), ("b.rs", 401)]);
        let found = check(&files);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "c.py");
        files[2].generated = true;
        assert_eq!(check(&files), []);
    }
}
