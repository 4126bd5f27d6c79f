//! A rule's code is also the way to its file: file name, declaration and list agree.

use std::collections::BTreeMap;

use super::{Complaint, File};

/// A rule as its file declares it.
#[derive(Debug, PartialEq, Eq)]
struct Declared {
    type_name: String,
    letter: String,
    number: String,
    words: String,
}

impl Declared {
    /// `C012`
    fn code(&self) -> String {
        format!("{}{:0>3}", self.letter, self.number)
    }

    /// `c012_compose_transposes`
    fn module(&self) -> String {
        format!("{}_{}", self.code().to_lowercase(), self.words.replace('-', "_"))
    }
}

/// The letter of the rules of each crate.
const LETTERS: &[(&str, &str)] =
    &[("canonical", "C"), ("nn", "N"), ("ops", "M"), ("layout", "L"), ("precision", "P"), ("structure", "S")];

pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut codes: BTreeMap<String, &str> = BTreeMap::new();
    for file in files {
        let Some((group, module)) = rule_file(&file.path) else { continue };
        let declared = file.text().and_then(declared);
        let Some(rule) = declared else {
            if named_as_rule(module) {
                complaints.push(Complaint::new(
                    &file.path,
                    "is named as a rule and declares none",
                    "declare it with `declare_rule!`, or give helpers a name without a code",
                ));
            }
            continue;
        };
        if rule.module() != module {
            complaints.push(Complaint::new(
                &file.path,
                format!("declares {} \"{}\"", rule.code(), rule.words),
                format!("name the file {}.rs, or change the declaration", rule.module()),
            ));
        }
        if let Some((_, letter)) = LETTERS.iter().find(|(name, _)| *name == group)
            && *letter != rule.letter
        {
            complaints.push(Complaint::new(
                &file.path,
                format!("declares {}, but the codes of passes-{group} begin with {letter}", rule.code()),
                "choose a free code of the crate, or move the rule",
            ));
        }
        if let Some(first) = codes.insert(rule.code(), &file.path) {
            complaints.push(Complaint::new(
                &file.path,
                format!("declares {}, as {first} does", rule.code()),
                "give one of them a free code",
            ));
        }
        complaints.extend(unlisted(files, &file.path, module, &rule));
    }
    complaints
}

/// What the list beside a rule's file lacks.
fn unlisted(files: &[File], path: &str, module: &str, rule: &Declared) -> Option<Complaint> {
    let list = format!("{}mod.rs", &path[..path.len() - module.len() - ".rs".len()]);
    let text = files.iter().find(|file| file.path == list).and_then(File::text).unwrap_or_default();
    let declares = text.lines().any(|line| line.trim() == format!("mod {module};"));
    let entry = format!("&{module}::{}", rule.type_name);
    let lists = text.lines().any(|line| line.trim().trim_end_matches(',') == entry);
    let lacks = match (declares, lists) {
        (true, true) => return None,
        (false, _) => format!("mod {module};"),
        (true, false) => format!("{entry},"),
    };
    Some(Complaint::new(&list, format!("does not list {path}"), format!("add the line `{lacks}`")))
}

/// Group and module of a file that may hold a rule.
fn rule_file(path: &str) -> Option<(&str, &str)> {
    let (group, rest) = path.strip_prefix("crates/passes-")?.split_once('/')?;
    let module = rest.strip_prefix("src/rules/")?.strip_suffix(".rs")?;
    (module != "mod" && !module.contains('/')).then_some((group, module))
}

/// Whether a module's name begins with a letter and three digits.
fn named_as_rule(module: &str) -> bool {
    let code = module.split('_').next().unwrap_or_default().as_bytes();
    code.len() == 4 && code[0].is_ascii_lowercase() && code[1..].iter().all(u8::is_ascii_digit)
}

/// The rule that a file declares: in its `declare_rule!`, the line `pub struct Type = C 12 "words";`.
fn declared(text: &str) -> Option<Declared> {
    let (_, body) = text.split_once("\ndeclare_rule! {")?;
    let line = body.lines().find_map(|line| line.trim().strip_prefix("pub struct "))?;
    let (type_name, rest) = line.split_once('=')?;
    let (code, rest) = rest.split_once('"')?;
    let (letter, number) = code.trim().split_once(' ')?;
    let (words, _) = rest.split_once('"')?;
    Some(Declared {
        type_name: type_name.trim().to_owned(),
        letter: letter.to_owned(),
        number: number.trim().to_owned(),
        words: words.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    const RULE: &str = "//! C012\n\ndeclare_rule! {\n    /// pub struct in words\n    pub struct ComposeMoves = C 12 \"compose-moves\";\n    grade: BitExact,\n}\n";
    const LIST: &str = "mod c012_compose_moves;\nfn rules() {\n    &[\n        &c012_compose_moves::ComposeMoves,\n    ]\n}\n";
    const PLACE: &str = "crates/passes-canonical/src/rules/c012_compose_moves.rs";
    const LISTED_IN: &str = "crates/passes-canonical/src/rules/mod.rs";

    fn whats(files: &[File]) -> Vec<String> {
        check(files).iter().map(|c| format!("{} {}", c.place, c.what)).collect()
    }

    #[test]
    fn a_declaration_is_read() {
        let rule = declared(RULE).unwrap();
        assert_eq!((rule.code(), rule.type_name.as_str()), ("C012".to_owned(), "ComposeMoves"));
        assert_eq!(rule.module(), "c012_compose_moves");
        assert_eq!(declared("//! declare_rule! { pub struct X = C 1 \"x\"; }"), None);
    }

    #[test]
    fn agreeing_names_pass() {
        let helper = file("crates/passes-canonical/src/rules/elementwise.rs", "fn f() {}");
        assert_eq!(whats(&[file(PLACE, RULE), file(LISTED_IN, LIST), helper]), [""; 0]);
    }

    #[test]
    fn a_file_that_is_named_otherwise_is_told_its_name() {
        let other = PLACE.replace("c012", "c013");
        let list = LIST.replace("c012", "c013");
        let found = check(&[file(&other, RULE), file(LISTED_IN, &list)]);
        assert_eq!(found.len(), 1);
        assert!(found[0].advice.contains("c012_compose_moves.rs"), "{}", found[0].advice);
    }

    #[test]
    fn a_missing_line_of_the_list_is_given() {
        let found = check(&[file(PLACE, RULE), file(LISTED_IN, "mod c012_compose_moves;\n")]);
        assert_eq!(found[0].advice, "add the line `&c012_compose_moves::ComposeMoves,`");
        let found = check(&[file(PLACE, RULE), file(LISTED_IN, "")]);
        assert_eq!(found[0].advice, "add the line `mod c012_compose_moves;`");
    }

    #[test]
    fn a_code_is_given_once_and_has_its_crates_letter() {
        let other = PLACE.replace("canonical", "ops");
        let list = LISTED_IN.replace("canonical", "ops");
        let found = whats(&[file(PLACE, RULE), file(LISTED_IN, LIST), file(&other, RULE), file(&list, LIST)]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("passes-ops begin with M"), "{found:?}");
        assert!(found[1].ends_with(&format!("declares C012, as {PLACE} does")), "{found:?}");
    }

    #[test]
    fn a_rule_file_without_a_rule_is_found() {
        let found = whats(&[file(PLACE, "fn f() {}")]);
        assert_eq!(found, [format!("{PLACE} is named as a rule and declares none")]);
    }
}
