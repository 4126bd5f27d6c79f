use crate::code::Code;

/// What is known of a code.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The code.
    pub code: Code,
    /// The code in words.
    pub name: &'static str,
    /// Its page, in Markdown; the first line is `# `, the code, a colon and the title.
    pub page: &'static str,
}

impl Kind {
    /// The title of the page.
    pub fn title(&self) -> &'static str {
        let first = self.page.lines().next().unwrap_or("");
        first.split_once(": ").map_or(first, |(_, title)| title)
    }

    /// The page's place in the repository.
    pub fn path(&self) -> String {
        format!("docs/findings/{}.md", self.code)
    }
}

macro_rules! kinds {
    ($($digits:literal $name:literal)*) => {
        &[$(Kind {
            code: Code::new(number($digits)),
            name: $name,
            page: include_str!(concat!("../../../docs/findings/ANE", $digits, ".md")),
        }),*]
    };
}

/// Three digits as a number.
const fn number(digits: &str) -> u16 {
    let digits = digits.as_bytes();
    let (mut i, mut n) = (0, 0);
    while i < digits.len() {
        n = n * 10 + (digits[i] - b'0') as u16;
        i += 1;
    }
    n
}

const KINDS: &[Kind] = kinds! {
    "001" "no-such-op"
    "002" "newer-engines-only"
    "003" "not-known"
    "004" "custom-layer"
    "005" "recurrent"
    "006" "control-flow"
    "007" "index-chain"
    "008" "newer-layer"
    "009" "no-engine"
    "010" "int32-island"
    "011" "fp32-island"
    "012" "element-type"
    "013" "open-shape"
    "014" "rank"
    "015" "axis-extent"
    "016" "narrow-last-axis"
    "017" "array-mapping"
    "020" "convolution-kernel"
    "021" "pooling-window"
    "022" "stride"
    "023" "dilation"
    "024" "product-size"
    "025" "attention"
    "026" "parameter"
    "027" "slow-compile"
    "030" "constant-beyond-fp16"
    "031" "epsilon"
    "032" "infinite-mask"
    "033" "sum-overflow"
    "034" "op-overflow"
    "035" "wrong-value"
    "040" "too-many-ops"
    "041" "model-size"
    "042" "boundaries"
    "043" "left-on-cpu"
    "044" "weight-format"
    "045" "allowed-shapes"
    "046" "state"
    "047" "compiler-crash"
    "048" "slow-op"
    "049" "stored-weights"
};

/// Every kind of finding, by code.
///
/// ```
/// assert!(anewrite_diag::kinds().iter().any(|kind| kind.name == "int32-island"));
/// ```
pub fn kinds() -> &'static [Kind] {
    KINDS
}

/// What is known of a code; `None` where there is no such kind.
pub fn kind(code: Code) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.code == code)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_code_has_a_page_and_every_page_a_code() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/findings");
        let mut pages = BTreeSet::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            pages.insert(name.strip_suffix(".md").unwrap().to_owned());
        }
        assert!(pages.remove("README"), "the index is missing");
        let codes: BTreeSet<String> = KINDS.iter().map(|kind| kind.code.to_string()).collect();
        assert_eq!(pages, codes);
        assert_eq!(codes.len(), KINDS.len(), "a code stands twice");
    }

    #[test]
    fn pages_say_what_it_means_how_it_is_known_and_what_to_do() {
        for kind in KINDS {
            let start = format!("# {}: ", kind.code);
            assert!(kind.page.starts_with(&start), "{} begins otherwise", kind.path());
            for heading in ["## What it means", "## How it is known", "## What to do"] {
                assert!(kind.page.contains(heading), "{} has no {heading}", kind.path());
            }
        }
    }

    #[test]
    fn the_index_lists_every_code_with_its_title() {
        let index = include_str!("../../../docs/findings/README.md");
        for kind in KINDS {
            let line = format!("[{}]({}.md) | `{}` | {} |", kind.code, kind.code, kind.name, kind.title());
            assert!(index.contains(&line), "the index lacks: {line}");
        }
    }
}
