//! HyperLogLogs: strings that count distinct elements within a percent. The bytes are upstream's, to the last bit: they
//! are read with GET, sent to replicas and stored in files.
//!
//! Reading order: `image` (the header and what the bytes are), `sparse` and `dense` (the two forms of the registers),
//! `hash` and `estimate` (from elements to registers, and from registers to a number), then the commands.

mod add;
mod count;
mod debug;
mod dense;
mod estimate;
mod hash;
mod image;
mod sparse;

pub(crate) use add::{pfadd, pfmerge};
pub(crate) use count::pfcount;
pub(crate) use debug::{pfdebug, pfselftest};

use baton_store::{Key, Value};

use crate::exec::Exec;
use crate::fail::Fail;

/// Number of registers.
const REGISTERS: usize = 1 << 14;

/// All registers, each in a byte.
type Registers = [u8; REGISTERS];

/// The bytes say something that can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Corrupt;

impl From<Corrupt> for Fail {
    fn from(_: Corrupt) -> Fail {
        Fail::Text("INVALIDOBJ Corrupted HLL object detected")
    }
}

/// Runs with the bytes of a key, which are those of a HyperLogLog as far as its head says, and with their form; without
/// any if there is no key. `counted` is whether it is a lookup of a reading command.
fn with_image<R>(
    x: &mut Exec<'_, '_>,
    key: &Key<'_>,
    counted: bool,
    run: impl FnOnce(Option<(&[u8], image::Form)>) -> R,
) -> Result<R, Fail> {
    let entry = if counted { x.view.read(key, x.touch) } else { x.view.peek(key) };
    let Some(entry) = entry else { return Ok(run(None)) };
    let Value::Str(text) = entry.value else { return Err(Fail::WrongType) };
    let mut scratch = itoa::Buffer::new();
    let bytes = text.bytes(&mut scratch);
    Ok(run(Some((bytes, image::form(bytes)?))))
}
