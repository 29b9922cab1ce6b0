//! JSON read as values. Texts from outside: bounded in depth, and never more memory than they justify.

use mlua::{Lua, MultiValue, Value};

use super::Settings;
use crate::engine::native::{Answer, Raised, text_arg};

/// The value of a JSON text.
pub(super) fn decode(lua: &Lua, args: &MultiValue, settings: &Settings) -> Answer<Value> {
    let text = text_arg(lua, args, 1, "decode")?;
    let text = text.as_bytes();
    if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
        return Err("JSON parser does not support UTF-16 or UTF-32".into());
    }
    let mut reader = Reader { lua, text: &text, at: 0, settings };
    let first = reader.token();
    let value = reader.value(first, 0)?;
    match reader.token() {
        Token { kind: Kind::End, .. } => Ok(value),
        other => Err(reader.unexpected("the end", &other)),
    }
}

/// How deep data are followed whatever a script sets: a thread's stack is not endless.
const DEPTH_ALWAYS_MAX: usize = 4000;

enum Kind {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    Text(Vec<u8>),
    Number(f64),
    Bool(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

/// A token and where it begins, or where its fault is.
struct Token {
    kind: Kind,
    at: usize,
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Kind::ObjectBegin => "T_OBJ_BEGIN",
            Kind::ObjectEnd => "T_OBJ_END",
            Kind::ArrayBegin => "T_ARR_BEGIN",
            Kind::ArrayEnd => "T_ARR_END",
            Kind::Text(_) => "T_STRING",
            Kind::Number(_) => "T_NUMBER",
            Kind::Bool(_) => "T_BOOLEAN",
            Kind::Null => "T_NULL",
            Kind::Colon => "T_COLON",
            Kind::Comma => "T_COMMA",
            Kind::End => "T_END",
            Kind::Error(text) => text,
        }
    }
}

struct Reader<'a> {
    lua: &'a Lua,
    text: &'a [u8],
    at: usize,
    settings: &'a Settings,
}

impl Reader<'_> {
    fn unexpected(&self, wanted: &str, found: &Token) -> Raised {
        format!("Expected {wanted} but found {} at character {}", found.kind.name(), found.at + 1).into()
    }

    fn descend(&self, depth: usize) -> Answer<usize> {
        let depth = depth + 1;
        if depth > self.settings.decode_depth_max.min(DEPTH_ALWAYS_MAX) {
            return Err(format!("Found too many nested data structures ({depth}) at character {}", self.at).into());
        }
        Ok(depth)
    }

    fn value(&mut self, token: Token, depth: usize) -> Answer<Value> {
        Ok(match token.kind {
            Kind::Text(text) => Value::String(self.lua.create_string(text)?),
            Kind::Number(n) => Value::Number(n),
            Kind::Bool(yes) => Value::Boolean(yes),
            Kind::Null => Value::NULL,
            Kind::ObjectBegin => self.object(depth)?,
            Kind::ArrayBegin => self.array(depth)?,
            _ => return Err(self.unexpected("value", &token)),
        })
    }

    fn object(&mut self, depth: usize) -> Answer<Value> {
        let depth = self.descend(depth)?;
        let table = self.lua.create_table()?;
        let mut token = self.token();
        if matches!(token.kind, Kind::ObjectEnd) {
            return Ok(Value::Table(table));
        }
        loop {
            let Kind::Text(key) = token.kind else { return Err(self.unexpected("object key string", &token)) };
            let colon = self.token();
            if !matches!(colon.kind, Kind::Colon) {
                return Err(self.unexpected("colon", &colon));
            }
            let first = self.token();
            let value = self.value(first, depth)?;
            table.raw_set(self.lua.create_string(key)?, value)?;
            let next = self.token();
            match next.kind {
                Kind::ObjectEnd => return Ok(Value::Table(table)),
                Kind::Comma => token = self.token(),
                _ => return Err(self.unexpected("comma or object end", &next)),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Answer<Value> {
        let depth = self.descend(depth)?;
        let table = self.lua.create_table()?;
        let mut token = self.token();
        if matches!(token.kind, Kind::ArrayEnd) {
            return Ok(Value::Table(table));
        }
        for i in 1.. {
            let value = self.value(token, depth)?;
            table.raw_seti(i, value)?;
            let next = self.token();
            match next.kind {
                Kind::ArrayEnd => break,
                Kind::Comma => token = self.token(),
                _ => return Err(self.unexpected("comma or array end", &next)),
            }
        }
        Ok(Value::Table(table))
    }

    fn token(&mut self) -> Token {
        while self.text.get(self.at).is_some_and(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        let at = self.at;
        let Some(&first) = self.text.get(at) else { return Token { kind: Kind::End, at } };
        let sign = match first {
            b'{' => Kind::ObjectBegin,
            b'}' => Kind::ObjectEnd,
            b'[' => Kind::ArrayBegin,
            b']' => Kind::ArrayEnd,
            b',' => Kind::Comma,
            b':' => Kind::Colon,
            b'"' => return self.string(),
            b'-' | b'0'..=b'9' => return self.number(),
            _ => return self.word(),
        };
        self.at += 1;
        Token { kind: sign, at }
    }

    fn word(&mut self) -> Token {
        let at = self.at;
        let rest = &self.text[at..];
        for (word, kind) in [(&b"true"[..], Kind::Bool(true)), (b"false", Kind::Bool(false)), (b"null", Kind::Null)] {
            if rest.starts_with(word) {
                self.at += word.len();
                return Token { kind, at };
            }
        }
        if self.settings.decode_invalid {
            for (word, n) in [(&b"nan"[..], f64::NAN), (b"infinity", f64::INFINITY), (b"inf", f64::INFINITY)] {
                if rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)) {
                    self.at += word.len();
                    return Token { kind: Kind::Number(n), at };
                }
            }
        }
        Token { kind: Kind::Error("invalid token"), at }
    }

    /// A number as C's `strtod` takes it.
    fn number(&mut self) -> Token {
        let at = self.at;
        let rest = &self.text[at..];
        let digits = |from: usize| rest[from.min(rest.len())..].iter().take_while(|b| b.is_ascii_digit()).count();
        let whole_at = usize::from(rest[0] == b'-');
        let mut end = whole_at + digits(whole_at);
        let mut any = end > whole_at;
        if rest.get(end) == Some(&b'.') {
            let places = digits(end + 1);
            any |= places > 0;
            end += usize::from(any) * (1 + places);
        }
        if any && matches!(rest.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(rest.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + sign);
            if exponent > 0 {
                end += 1 + sign + exponent;
            }
        }
        let text = std::str::from_utf8(&rest[..end]).unwrap_or_default();
        match text.parse().ok().filter(|_| any) {
            Some(n) => {
                self.at += end;
                Token { kind: Kind::Number(n), at }
            }
            None => Token { kind: Kind::Error("invalid number"), at },
        }
    }

    fn string(&mut self) -> Token {
        let start = self.at;
        let mut out = Vec::new();
        let mut at = start + 1;
        let fault = |text, at| Token { kind: Kind::Error(text), at };
        loop {
            match self.text.get(at) {
                None => return fault("unexpected end of string", at),
                Some(b'"') => break,
                Some(b'\\') => match self.escape(at, &mut out) {
                    Ok(len) => at += len,
                    Err(text) => return fault(text, at),
                },
                Some(&b) => {
                    out.push(b);
                    at += 1;
                }
            }
        }
        self.at = at + 1;
        Token { kind: Kind::Text(out), at: start }
    }

    /// Reads an escape; gives its length.
    fn escape(&self, at: usize, out: &mut Vec<u8>) -> Result<usize, &'static str> {
        let plain = match self.text.get(at + 1) {
            Some(b @ (b'"' | b'\\' | b'/')) => *b,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => return self.unicode(at, out).ok_or("invalid unicode escape code"),
            _ => return Err("invalid escape code"),
        };
        out.push(plain);
        Ok(2)
    }

    fn unicode(&self, at: usize, out: &mut Vec<u8>) -> Option<usize> {
        let unit = |at: usize| {
            let digits = self.text.get(at..at + 6)?.strip_prefix(b"\\u")?;
            digits.iter().try_fold(0, |n, b| Some(n << 4 | char::from(*b).to_digit(16)?))
        };
        let first = unit(at)?;
        let (code, len) = match first {
            0xD800..0xDC00 => {
                let second = unit(at + 6).filter(|unit| (0xDC00..0xE000).contains(unit))?;
                (0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00), 12)
            }
            code => (code, 6),
        };
        let c = char::from_u32(code)?;
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        Some(len)
    }
}
