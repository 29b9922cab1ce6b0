//! Commands that wait for keys: what they ask for when what they want is not there. Waiting itself is the caller's.

use std::ops::Range;
use std::time::Duration;

use baton_base::num;
use baton_resp::Out;
use baton_store::ValueKind;

use crate::exec::Exec;
use crate::fail::Fail;
use crate::number::{Extended, Parsed};

/// Whether a command may wait, or have others wait for the rest of its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// It answers at once and whole, as if its time had run out: in transactions and scripts, and where nobody waits for the
    /// reply.
    Never,
    /// It may ask to be run again, or leave a part of its reply ([`Left`](crate::Left)).
    May,
}

/// What a command waits for. It is run again, as if it had just arrived, when one of its keys changed and holds the kind of
/// value that it wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitFor {
    /// Which of the declared keys, in the order of their wishes.
    pub keys: Range<usize>,
    /// What the value must be.
    pub kind: ValueKind,
    /// Whether it is run again also when the key is gone or holds something else.
    pub even_gone: bool,
    /// How long; none is for ever.
    pub timeout: Option<Duration>,
    /// What it answers when the time has run out.
    pub nothing: Nothing,
    /// Arguments that are others when it is run again: what they said meant something at the time when it began to wait.
    /// Each with its place, in ascending order.
    pub instead: Vec<(usize, Box<[u8]>)>,
}

impl WaitFor {
    /// Until one of the first so many keys holds a value of this kind.
    pub(crate) fn values(kind: ValueKind, keys: usize, timeout: Option<Duration>, nothing: Nothing) -> WaitFor {
        WaitFor { keys: 0..keys, kind, even_gone: false, timeout, nothing, instead: Vec::new() }
    }
}

/// How a command says that there was nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nothing {
    /// As a missing value.
    Null,
    /// As a missing array.
    NullArray,
}

impl Nothing {
    /// Writes it.
    pub fn write(self, out: &mut Out) {
        match self {
            Nothing::Null => out.null(),
            Nothing::NullArray => out.null_array(),
        }
    }
}

impl Exec<'_, '_> {
    /// Asks to be run again when a key changed; nothing may have been replied yet.
    pub(crate) fn wait(&mut self, wait: WaitFor) {
        match self.waits {
            Waits::Never => wait.nothing.write(self.out),
            Waits::May => self.effects.wait_for(wait),
        }
    }
}

/// A time to wait in seconds, to the millisecond; none is for ever.
pub(crate) fn timeout_secs(arg: &[u8]) -> Result<Option<Duration>, Fail> {
    let secs = match Extended::parse(arg) {
        Some(Parsed::Finite(secs)) => secs.to_f64(),
        Some(Parsed::Infinite) if arg.starts_with(b"-") => f64::NEG_INFINITY,
        Some(Parsed::Infinite) => f64::INFINITY,
        None => return Err(Fail::Text("ERR timeout is not a float or out of range")),
    };
    if secs < 0.0 {
        return Err(Fail::Text("ERR timeout is negative"));
    }
    let ms = (secs * 1000.0).ceil();
    if ms > i64::MAX as f64 / 2.0 {
        return Err(Fail::Text("ERR timeout is out of range"));
    }
    Ok((ms > 0.0).then(|| Duration::from_millis(ms as u64)))
}

/// A time to wait in milliseconds; none is for ever.
pub(crate) fn timeout_ms(arg: &[u8]) -> Result<Option<Duration>, Fail> {
    let ms = num::parse_i64(arg).ok_or(Fail::Text("ERR timeout is not an integer or out of range"))?;
    let ms = u64::try_from(ms).map_err(|_| Fail::Text("ERR timeout is negative"))?;
    if ms > i64::MAX as u64 / 2 {
        return Err(Fail::Text("ERR timeout is out of range"));
    }
    Ok((ms > 0).then(|| Duration::from_millis(ms)))
}
