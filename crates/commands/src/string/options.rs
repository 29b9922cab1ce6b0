//! The options that SET, GETEX and MSETEX share: an expiry and a condition. Parsing only; nothing here looks at a key.

use baton_base::WallMs;
use baton_resp::Args;
use baton_store::Expire;

use crate::deadline::{self, Unit};
use crate::fail::Fail;

/// What a command's options say about the expiry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ExpiryOption {
    /// Nothing.
    #[default]
    Absent,
    /// `KEEPTTL`.
    Keep,
    /// `PERSIST`.
    Persist,
    /// A unit and a number, which is the argument at `value_at`.
    At { unit: Unit, value_at: usize },
}

/// What has to hold for the command to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Condition {
    /// Nothing.
    #[default]
    Always,
    /// `NX`: no key exists.
    Missing,
    /// `XX`: every key exists.
    Exists,
    /// `IFEQ`: the key holds the string that is this argument.
    Equals { value_at: usize },
}

/// Options of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) expiry: ExpiryOption,
    pub(super) condition: Condition,
    /// `GET`: the old string is the reply.
    pub(super) get: bool,
}

/// Which options a command knows beside the units of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `NX XX IFEQ GET KEEPTTL`.
    Set,
    /// `PERSIST`.
    GetEx,
    /// `NX XX KEEPTTL`.
    MSetEx,
}

impl Options {
    /// Reads the options from this argument on. Repeating one is allowed, except for a comparison; contradicting one is not.
    pub(super) fn parse(args: Args<'_>, from: usize, dialect: Dialect) -> Result<Options, Fail> {
        let mut options = Options::default();
        let mut i = from;
        while let Some(word) = args.get(i) {
            let is = |text: &str| word.eq_ignore_ascii_case(text.as_bytes());
            let conditional = dialect != Dialect::GetEx;
            if let Some(unit) = Unit::of_word(word) {
                i += 1;
                options.at(unit, i, args)?;
            } else if is("NX") && conditional {
                options.only_if(Condition::Missing)?;
            } else if is("XX") && conditional {
                options.only_if(Condition::Exists)?;
            } else if is("IFEQ") && dialect == Dialect::Set && i + 1 < args.len() {
                i += 1;
                options.only_if(Condition::Equals { value_at: i })?;
            } else if is("GET") && dialect == Dialect::Set {
                options.get = true;
            } else if is("KEEPTTL") && conditional {
                options.without_time(ExpiryOption::Keep)?;
            } else if is("PERSIST") && dialect == Dialect::GetEx {
                options.without_time(ExpiryOption::Persist)?;
            } else {
                return Err(Fail::Syntax);
            }
            i += 1;
        }
        Ok(options)
    }

    fn at(&mut self, unit: Unit, value_at: usize, args: Args<'_>) -> Result<(), Fail> {
        let fits = match self.expiry {
            ExpiryOption::Absent => true,
            ExpiryOption::At { unit: before, .. } => before == unit,
            ExpiryOption::Keep | ExpiryOption::Persist => false,
        };
        if !fits || value_at >= args.len() {
            return Err(Fail::Syntax);
        }
        self.expiry = ExpiryOption::At { unit, value_at };
        Ok(())
    }

    fn without_time(&mut self, expiry: ExpiryOption) -> Result<(), Fail> {
        if self.expiry != ExpiryOption::Absent && self.expiry != expiry {
            return Err(Fail::Syntax);
        }
        self.expiry = expiry;
        Ok(())
    }

    fn only_if(&mut self, condition: Condition) -> Result<(), Fail> {
        let comparison = matches!(condition, Condition::Equals { .. });
        if self.condition != Condition::Always && (comparison || self.condition != condition) {
            return Err(Fail::Syntax);
        }
        self.condition = condition;
        Ok(())
    }
}

impl ExpiryOption {
    /// What a write does to the expiry.
    pub(super) fn resolve(self, args: Args<'_>, now: WallMs, command: &'static str) -> Result<Expire, Fail> {
        Ok(match self {
            ExpiryOption::Absent | ExpiryOption::Persist => Expire::Never,
            ExpiryOption::Keep => Expire::Keep,
            ExpiryOption::At { unit, value_at } => Expire::At(deadline::positive(&args[value_at], unit, now, command)?),
        })
    }
}
