//! The filters of CLIENT LIST and CLIENT KILL: which connections are meant. A filter that comes again replaces its earlier
//! value, except that ids add up.

use baton_acl::Users;
use baton_base::num::parse_i64;
use baton_resp::Args;

use super::{Refusal, SYNTAX};
use crate::clients::{ClientId, ClientMeta};

/// Letters that FLAGS accepts, whether or not this server ever shows them.
const FLAG_LETTERS: &str = "ABEIMNOPRSTUbcdeirtux";
/// Letters that CAPA accepts.
const CAPA_LETTERS: &str = "r";

/// What a connection has to be; each part is none where it doesn't matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Traits {
    ids: Vec<u64>,
    class: Option<&'static str>,
    addr: Option<String>,
    local_addr: Option<String>,
    ip: Option<String>,
    user: Option<String>,
    name: Option<String>,
    lib_name: Option<String>,
    lib_ver: Option<String>,
    flags: Option<String>,
    capa: Option<String>,
    db: Option<u32>,
}

/// Which connections are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// What they are.
    has: Traits,
    /// What they are not.
    lacks: Traits,
    age_secs_min: Option<u64>,
    idle_secs_min: Option<u64>,
    /// The asking connection is not meant.
    pub skip_me: bool,
}

impl Filter {
    /// The connection with this address.
    pub fn of_address(addr: &[u8]) -> Filter {
        let addr = Some(String::from_utf8_lossy(addr).into_owned());
        Filter { has: Traits { addr, ..Traits::default() }, ..Filter::default() }
    }

    /// Reads filters, `skip_me` being the default. `databases` is how many there are.
    pub fn parse(args: Args<'_>, skip_me: bool, databases: u32, users: &Users) -> Result<Filter, Refusal> {
        let mut filter = Filter { skip_me, ..Filter::default() };
        let mut at = 0;
        while at < args.len() {
            let word = args.at(at).to_ascii_lowercase();
            let value = args.get(at + 1).ok_or(SYNTAX)?;
            at += 2;
            match word.as_slice() {
                b"id" => at = read_ids(args, at - 1, &mut filter.has.ids)?,
                b"not-id" => at = read_ids(args, at - 1, &mut filter.lacks.ids)?,
                b"maxage" => filter.age_secs_min = Some(seconds(value, "maxage")?),
                b"idle" => filter.idle_secs_min = Some(seconds(value, "idle")?),
                b"skipme" => {
                    filter.skip_me = match value.to_ascii_lowercase().as_slice() {
                        b"yes" => true,
                        b"no" => false,
                        _ => return Err(SYNTAX.into()),
                    }
                }
                b"user" | b"not-user" if users.find(value).is_none() => {
                    return Err(format!("ERR No such user '{}'", String::from_utf8_lossy(value)).into());
                }
                other => match other.strip_prefix(b"not-") {
                    Some(name) => filter.lacks.set(name, value, true, databases)?,
                    None => filter.has.set(other, value, false, databases)?,
                },
            }
        }
        Ok(filter)
    }

    /// Whether a connection is meant.
    pub fn fits(&self, m: &ClientMeta, me: ClientId, age_secs: u64, idle_secs: u64) -> bool {
        !(self.skip_me && m.id == me)
            && self.age_secs_min.is_none_or(|s| age_secs >= s)
            && self.idle_secs_min.is_none_or(|s| idle_secs >= s)
            && self.has.tests(m).into_iter().flatten().all(|fits| fits)
            && !self.lacks.tests(m).into_iter().flatten().any(|fits| fits)
    }
}

impl Traits {
    fn set(&mut self, name: &[u8], value: &[u8], negative: bool, databases: u32) -> Result<(), Refusal> {
        let text = String::from_utf8_lossy(value).into_owned();
        let place = if negative { format!("NOT-{}", shown(name)) } else { "provided".into() };
        match name {
            b"type" => self.class = Some(class_of(value)?),
            b"addr" => self.addr = Some(text),
            b"laddr" => self.local_addr = Some(text),
            b"ip" => self.ip = Some(text),
            b"name" => self.name = Some(text),
            b"lib-name" => self.lib_name = Some(text),
            b"lib-ver" => self.lib_ver = Some(text),
            b"user" => self.user = Some(text),
            b"flags" if text.chars().all(|c| FLAG_LETTERS.contains(c)) => self.flags = Some(text),
            b"flags" => return Err(format!("ERR Unknown flags found in the {place} filter: {text}").into()),
            b"capa" if text.chars().all(|c| CAPA_LETTERS.contains(c)) => self.capa = Some(text),
            b"capa" => return Err(format!("ERR Unknown capa found in the {place} filter: {text}").into()),
            b"db" => self.db = Some(database(value, negative, databases)?),
            _ => return Err(SYNTAX.into()),
        }
        Ok(())
    }

    /// For each part that matters, whether the connection is like that.
    fn tests(&self, m: &ClientMeta) -> [Option<bool>; 12] {
        let labels = m.labels.lock();
        let same = |wanted: &Option<String>, is: &str| wanted.as_deref().map(|w| w == is);
        let all_in = |wanted: &Option<String>, is: &str| wanted.as_deref().map(|w| w.chars().all(|c| is.contains(c)));
        [
            (!self.ids.is_empty()).then(|| self.ids.contains(&m.id.0)),
            self.class.map(|c| m.class() == c),
            same(&self.addr, &m.addr),
            same(&self.local_addr, &m.local_addr),
            same(&self.ip, m.ip()),
            same(&self.user, &labels.user),
            same(&self.name, &labels.name),
            same(&self.lib_name, &labels.lib_name),
            same(&self.lib_ver, &labels.lib_ver),
            all_in(&self.flags, &m.letters()),
            all_in(&self.capa, m.capa()),
            self.db.map(|db| m.db.load(std::sync::atomic::Ordering::Relaxed) == db),
        ]
    }
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).to_ascii_uppercase()
}

/// Ids up to the next word that is no number; gives where that is.
fn read_ids(args: Args<'_>, from: usize, ids: &mut Vec<u64>) -> Result<usize, Refusal> {
    let mut at = from;
    while let Some(id) = args.get(at).and_then(parse_i64) {
        let id = u64::try_from(id).ok().filter(|id| *id > 0).ok_or("ERR client-id should be greater than 0")?;
        ids.push(id);
        at += 1;
    }
    if at == from { Err(SYNTAX.into()) } else { Ok(at) }
}

fn seconds(value: &[u8], what: &str) -> Result<u64, Refusal> {
    match parse_i64(value) {
        None => Err(format!("ERR {what} is not an integer or out of range").into()),
        Some(n) if n <= 0 => Err(format!("ERR {what} should be greater than 0").into()),
        Some(n) => Ok(n.unsigned_abs()),
    }
}

fn database(value: &[u8], negative: bool, databases: u32) -> Result<u32, Refusal> {
    let what = if negative { "NOT-DB" } else { "DB" };
    let number = parse_i64(value).ok_or_else(|| format!("ERR {what} is not an integer or out of range"))?;
    u32::try_from(number)
        .ok()
        .filter(|n| *n < databases)
        .ok_or_else(|| format!("ERR {what} number should be between 0 and {}", databases - 1).into())
}

fn class_of(word: &[u8]) -> Result<&'static str, Refusal> {
    match word.to_ascii_lowercase().as_slice() {
        b"normal" => Ok("normal"),
        b"slave" | b"replica" => Ok("replica"),
        b"pubsub" => Ok("pubsub"),
        b"master" | b"primary" => Ok("master"),
        b"slot-import" => Ok("slot-import"),
        b"slot-export" => Ok("slot-export"),
        _ => Err(format!("ERR Unknown client type '{}'", String::from_utf8_lossy(word)).into()),
    }
}

#[cfg(test)]
mod tests {
    use baton_resp::OwnedArgs;

    use super::*;

    fn parse(line: &str) -> Result<Filter, String> {
        let words: Vec<&[u8]> = line.split_whitespace().map(str::as_bytes).collect();
        Filter::parse(OwnedArgs::from_slices(&words).as_args(), false, 16, &Users::default())
            .map_err(|e| e.0.into_owned())
    }

    #[test]
    fn refusals_are_upstreams() {
        let refused = |line: &str, text: &str| assert_eq!(parse(line).unwrap_err(), text, "{line}");
        refused("id 10 wrong", SYNTAX);
        refused("id str", SYNTAX);
        refused("id 0", "ERR client-id should be greater than 0");
        refused("not-id 3 -1", "ERR client-id should be greater than 0");
        refused("flags NZ", "ERR Unknown flags found in the provided filter: NZ");
        refused("not-capa q", "ERR Unknown capa found in the NOT-CAPA filter: q");
        refused("db 16", "ERR DB number should be between 0 and 15");
        refused("not-db x", "ERR NOT-DB is not an integer or out of range");
        refused("maxage 0", "ERR maxage should be greater than 0");
        refused("not-maxage 5", SYNTAX);
        refused("user bob", "ERR No such user 'bob'");
        refused("skipme maybe", SYNTAX);
    }

    #[test]
    fn ids_add_up_and_the_rest_is_replaced() {
        let f = parse("id 1 2 id 3 name a name b").unwrap();
        assert_eq!((f.has.ids, f.has.name.as_deref()), (vec![1, 2, 3], Some("b")));
    }
}
