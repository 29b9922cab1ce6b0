//! What single texts must look like: names of files, hosts and nodes, addresses, the title template. One rule, one
//! function, upstream's words for the refusal.

use crate::directive::TextRule;
use crate::parse::{Invalid, text};
use crate::value::Value;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Longest hostname, exclusive.
const HOSTNAME_LENGTH_LIMIT: usize = 256;
/// Longest announced address.
const ADDRESS_LENGTH_MAX: usize = 45;

/// Checks a text against the rule of its directive.
pub(crate) fn check(name: &str, rule: TextRule, word: &[u8]) -> Result<Value, Invalid> {
    if rule != TextRule::Secret && std::str::from_utf8(word).is_err() {
        return Err("argument must be valid UTF-8".into());
    }
    match rule {
        TextRule::Any | TextRule::Nullable | TextRule::Secret => {}
        TextRule::NotEmpty => not_empty(name, word)?,
        TextRule::FileName => plain_name(name, word, "filename")?,
        TextRule::DirName => plain_name(name, word, "dirname")?,
        TextRule::Hostname => hostname(word)?,
        TextRule::NodeName if !word.iter().all(|&b| is_auxiliary(b)) => {
            return Err("Announced human node name contained invalid character".into());
        }
        TextRule::NodeName => {}
        TextRule::AnnounceIp => announced_address(name, word)?,
        TextRule::Ipv4 if !word.is_empty() && parsed::<Ipv4Addr>(word).is_none() => {
            return Err("Invalid IPv4 address".into());
        }
        TextRule::Ipv6 if !word.is_empty() && parsed::<Ipv6Addr>(word).is_none() => {
            return Err("Invalid IPv6 address".into());
        }
        TextRule::Ipv4 | TextRule::Ipv6 => {}
        TextRule::ProcTitle if !is_title_template(word) => {
            return Err("template format is invalid or contains unknown variables".into());
        }
        TextRule::ProcTitle => {}
    }
    Ok(text(word, is_nullable(rule)))
}

fn is_nullable(rule: TextRule) -> bool {
    !matches!(rule, TextRule::Any)
}

fn not_empty(name: &str, word: &[u8]) -> Result<(), Invalid> {
    if word.is_empty() { Err(Invalid(format!("{name} can't be empty"))) } else { Ok(()) }
}

fn plain_name(name: &str, word: &[u8], noun: &str) -> Result<(), Invalid> {
    not_empty(name, word)?;
    if word.iter().any(|b| matches!(b, b'/' | b'\\')) {
        return Err(Invalid(format!("{name} can't be a path, just a {noun}")));
    }
    Ok(())
}

fn hostname(word: &[u8]) -> Result<(), Invalid> {
    if word.len() >= HOSTNAME_LENGTH_LIMIT {
        return Err("Hostnames must be less than 256 characters".into());
    }
    if !word.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.') {
        return Err("Hostnames may only contain alphanumeric characters, hyphens or dots".into());
    }
    Ok(())
}

fn announced_address(name: &str, word: &[u8]) -> Result<(), Invalid> {
    if word.len() > ADDRESS_LENGTH_MAX {
        return Err(Invalid(format!("{name} is too long")));
    }
    if !word.iter().all(|&b| is_auxiliary(b)) {
        return Err(Invalid(format!("{name} contains invalid character")));
    }
    Ok(())
}

/// Bytes that may stand in a field of nodes.conf (cluster-bus 12.3).
fn is_auxiliary(b: u8) -> bool {
    b > 0x2c && b != 0x7f && !b";<=>?@[]^{|}~\\".contains(&b)
}

fn parsed<T: std::str::FromStr>(word: &[u8]) -> Option<T> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// Whether a template's braces close, its variables are known, and something is left of it even if those that may be
/// empty are. `{{` stands for one brace.
fn is_title_template(word: &[u8]) -> bool {
    let Ok(mut rest) = std::str::from_utf8(word) else { return false };
    let mut shows_something = false;
    while let Some(open) = rest.find('{') {
        shows_something |= open > 0;
        rest = &rest[open + 1..];
        if let Some(after) = rest.strip_prefix('{') {
            shows_something = true;
            rest = after;
            continue;
        }
        let Some((variable, after)) = rest.split_once('}') else { return false };
        match variable {
            "title" | "server-mode" | "unixsocket" => {}
            "listen-addr" | "port" | "tls-port" | "config-file" => shows_something = true,
            _ => return false,
        }
        rest = after;
    }
    shows_something || !rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn title_templates() {
        let good = ["abc", "{title} {listen-addr}", "{port}", "{config-file}", "x }", "{title}}", "{{title}}"];
        for template in good {
            assert!(is_title_template(template.as_bytes()), "{template}");
        }
        for template in ["", "{title}", "{server-mode}", "{unixsocket}", "{x}", "x {", "{title}{", "{TITLE}"] {
            assert!(!is_title_template(template.as_bytes()), "{template}");
        }
    }
}
