//! HELP of every container, made from the records of its subcommands.

use baton_resp::{Args, Out};

use crate::arg::{Arg, ArgFlags, ArgKind};
use crate::fail::Fail;
use crate::registry;

/// `<container> HELP`.
pub(crate) fn help(args: Args<'_>, out: &mut Out) -> Result<(), Fail> {
    let Some(container) = registry::lookup(args.name()) else { return Err(Fail::unknown_command(args)) };
    let title = container.name.to_ascii_uppercase();
    let mut lines = vec![format!("{title} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")];
    for sub in container.subcommands.iter().filter(|s| s.short_name() != "help") {
        let words: String = sub.args.iter().map(|a| format!(" {}", usage(a))).collect();
        lines.push(format!("{}{words}", sub.short_name().to_ascii_uppercase()));
        lines.push(format!("    {}", sub.summary));
    }
    lines.push("HELP".into());
    lines.push("    Print this help.".into());
    out.array(lines.len());
    for line in &lines {
        out.simple(line);
    }
    Ok(())
}

/// How an argument is written: `[EX <seconds> | PX <milliseconds>]`.
fn usage(arg: &Arg) -> String {
    let nested = |between: &str| arg.args.iter().map(usage).collect::<Vec<_>>().join(between);
    let name = if arg.display.is_empty() { arg.name } else { arg.display };
    let value = match arg.kind {
        ArgKind::PureToken => String::new(),
        ArgKind::OneOf if arg.flags.contains(ArgFlags::OPTIONAL) => nested("|"),
        ArgKind::OneOf => format!("({})", nested("|")),
        ArgKind::Block => nested(" "),
        _ => format!("<{name}>"),
    };
    let mut text = [arg.token, &value].iter().filter(|w| !w.is_empty()).copied().collect::<Vec<_>>().join(" ");
    if arg.flags.contains(ArgFlags::MULTIPLE) {
        text.push_str(" ...");
    }
    if arg.flags.contains(ArgFlags::OPTIONAL) { format!("[{text}]") } else { text }
}
