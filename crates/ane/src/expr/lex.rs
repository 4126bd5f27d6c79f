/// One token of an expression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'a> {
    Num(f64),
    Text(&'a str),
    Name(&'a str),
    Limit(&'a str),
    Sign(&'static str),
}

/// The signs, longer ones before their prefixes.
const SIGNS: [&str; 20] =
    ["==", "!=", "<=", ">=", "??", "<", ">", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",", ".", ":", "'"];

/// Splits an expression into tokens.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, String> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let taken = if first.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let digits = &rest[..end];
            found.push(Token::Num(digits.parse().map_err(|_| format!("`{digits}` is not a number"))?));
            end
        } else if rest.starts_with("LIM-") {
            let end = rest
                .find(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '-')
                .unwrap_or(rest.len());
            found.push(Token::Limit(&rest[..end]));
            end
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            found.push(Token::Name(&rest[..end]));
            end
        } else {
            let sign = SIGNS
                .into_iter()
                .find(|s| rest.starts_with(s))
                .ok_or_else(|| format!("`{first}` is not a sign"))?;
            if sign == "'" {
                let inner = rest[1..].find('\'').ok_or("a text has no closing quote")?;
                found.push(Token::Text(&rest[1..1 + inner]));
                inner + 2
            } else {
                found.push(Token::Sign(sign));
                sign.len()
            }
        };
        rest = rest[taken..].trim_start();
    }
    Ok(found)
}
