//! The options that SET, GETEX, MSETEX, HSETEX and HGETEX share: an expiry and conditions. Parsing only; nothing here looks
//! at a key.

use baton_base::WallMs;
use baton_resp::Args;
use baton_store::Expire;

use crate::deadline::{self, Unit};
use crate::fail::Fail;

/// What a command's options say about the expiry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ExpiryOption {
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
pub(crate) enum Condition {
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

/// What has to hold for the fields that the command names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FieldCondition {
    /// Nothing.
    #[default]
    Always,
    /// `FNX`: none of them exists.
    Missing,
    /// `FXX`: all of them exist.
    Exist,
}

/// Options of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) expiry: ExpiryOption,
    pub(crate) condition: Condition,
    pub(crate) fields: FieldCondition,
    /// `GET`: the old string is the reply.
    pub(crate) get: bool,
}

/// Which options a command knows beside the units of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `NX XX IFEQ GET KEEPTTL`.
    Set,
    /// `PERSIST`; HGETEX's too.
    GetEx,
    /// `NX XX KEEPTTL`.
    MSetEx,
    /// `NX XX FNX FXX KEEPTTL`.
    HSetEx,
}

impl Options {
    /// Reads the options from this argument on. Repeating one is allowed, except for a comparison; contradicting one is not.
    pub(crate) fn parse(args: Args<'_>, from: usize, dialect: Dialect) -> Result<Options, Fail> {
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
            } else if is("FNX") && dialect == Dialect::HSetEx {
                options.only_if_fields(FieldCondition::Missing)?;
            } else if is("FXX") && dialect == Dialect::HSetEx {
                options.only_if_fields(FieldCondition::Exist)?;
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

    fn only_if_fields(&mut self, condition: FieldCondition) -> Result<(), Fail> {
        if self.fields != FieldCondition::Always && self.fields != condition {
            return Err(Fail::Syntax);
        }
        self.fields = condition;
        Ok(())
    }
}

impl ExpiryOption {
    /// What a write does to the expiry.
    pub(crate) fn resolve(self, args: Args<'_>, now: WallMs, command: &'static str) -> Result<Expire, Fail> {
        Ok(match self {
            ExpiryOption::Absent | ExpiryOption::Persist => Expire::Never,
            ExpiryOption::Keep => Expire::Keep,
            ExpiryOption::At { unit, value_at } => Expire::At(deadline::positive(&args[value_at], unit, now, command)?),
        })
    }

    /// Whether it names a millisecond since 1970.
    pub(crate) fn is_unix_millis(self) -> bool {
        matches!(self, ExpiryOption::At { unit: Unit::UnixMillis, .. })
    }

    /// The time that it names, if it names one; for fields of hashes, where it may be over already.
    pub(crate) fn time(self, args: Args<'_>, now: WallMs, command: &'static str) -> Result<Option<WallMs>, Fail> {
        match self {
            ExpiryOption::At { unit, value_at } => {
                deadline::not_negative(&args[value_at], unit, now, command).map(Some)
            }
            _ => Ok(None),
        }
    }
}
