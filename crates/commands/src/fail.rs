//! How a command refuses: one value for each text that clients know, rendered in one place.

use std::borrow::Cow;

use baton_resp::{Args, Out};
use baton_store::{HeldForLong, WrongType};

/// Why a command did not do what was asked. Everything here is the client's doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fail {
    /// The key holds another type.
    WrongType,
    /// The arguments don't fit together.
    Syntax,
    /// An argument should be an integer.
    NotInteger,
    /// An argument should be a floating-point number.
    NotFloat,
    /// The key should exist.
    NoSuchKey,
    /// A string would become longer than `proto-max-bulk-len`.
    TooLong,
    /// The expiry is not positive or too far away; with the command's name.
    InvalidExpire(&'static str),
    /// Wrong number of arguments; with the command's full name.
    Arity(&'static str),
    /// A script holds a slot for long. Which script, and how it is ended, is known to who runs commands.
    Held(HeldForLong),
    /// A text with its code.
    Text(&'static str),
    /// A text with its code that repeats something of the client.
    Bytes(Vec<u8>),
}

impl From<WrongType> for Fail {
    fn from(_: WrongType) -> Fail {
        Fail::WrongType
    }
}

impl From<HeldForLong> for Fail {
    fn from(held: HeldForLong) -> Fail {
        Fail::Held(held)
    }
}

impl Fail {
    /// No command has this name.
    pub fn unknown_command(args: Args<'_>) -> Fail {
        let name = args.name();
        let mut shown = Vec::new();
        for arg in args.skip(1).iter() {
            if shown.len() >= UNKNOWN_BYTES_MAX {
                break;
            }
            let room = UNKNOWN_BYTES_MAX - shown.len();
            shown.push(b'\'');
            shown.extend_from_slice(&arg[..arg.len().min(room)]);
            shown.extend_from_slice(b"' ");
        }
        let name = &name[..name.len().min(UNKNOWN_BYTES_MAX)];
        Fail::Bytes([b"ERR unknown command '", name, b"', with args beginning with: ", &shown].concat())
    }

    /// The container has no subcommand with this name.
    pub fn unknown_subcommand(container: &str, name: &[u8]) -> Fail {
        let name = &name[..name.len().min(UNKNOWN_BYTES_MAX)];
        let help = format!("'. Try {} HELP.", container.to_ascii_uppercase());
        Fail::Bytes([b"ERR unknown subcommand '", name, help.as_bytes()].concat())
    }

    /// A subcommand does not take these arguments, where upstream finds out only while it runs it.
    pub fn wrong_subcommand(container: &str, name: &[u8]) -> Fail {
        let name = &name[..name.len().min(UNKNOWN_BYTES_MAX)];
        let help = format!("'. Try {container} HELP.");
        Fail::Bytes([b"ERR unknown subcommand or wrong number of arguments for '", name, help.as_bytes()].concat())
    }

    /// The reply's text without its leading `-`.
    pub fn text(&self) -> Cow<'_, [u8]> {
        let text: &'static str = match self {
            Fail::WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value",
            Fail::Syntax => "ERR syntax error",
            Fail::NotInteger => "ERR value is not an integer or out of range",
            Fail::NotFloat => "ERR value is not a valid float",
            Fail::NoSuchKey => "ERR no such key",
            Fail::TooLong => "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            Fail::InvalidExpire(name) => {
                return format!("ERR invalid expire time in '{name}' command").into_bytes().into();
            }
            Fail::Arity(name) => {
                return format!("ERR wrong number of arguments for '{name}' command").into_bytes().into();
            }
            Fail::Held(_) => "BUSY Valkey is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
            Fail::Text(text) => text,
            Fail::Bytes(text) => return Cow::Borrowed(text),
        };
        Cow::Borrowed(text.as_bytes())
    }

    /// Writes the error reply.
    #[cold]
    pub fn write(&self, out: &mut Out) {
        out.error_bytes(&self.text());
    }
}

/// How much of a client's words an error repeats, in bytes.
const UNKNOWN_BYTES_MAX: usize = 128;
