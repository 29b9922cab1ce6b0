//! ACL, as far as a connection, the running server or its files have to do with it.

use std::io::Read;

use baton_acl::{replies, user_lines};
use baton_base::hex::Hex;
use baton_commands::{Fail, NodeCommand as N};
use baton_resp::Args;

use super::{Outcome, Refusal};
use crate::acl::{change_users, defaults, load_file, save_file};
use crate::worker::client::Client;
use crate::worker::context::{Context, Flow};

/// ACL subcommand ...
pub fn run(cx: &mut Context<'_>, client: &mut Client, command: N, args: Args<'_>) -> Outcome {
    match command {
        N::AclWhoami => client.out.bulk(client.who.user.name()),
        N::AclSetuser => {
            let defaults = defaults(&cx.world);
            let changed = change_users(cx, client, |users| Ok((replies::set_user(users, args, defaults)?, ())));
            changed.map_err(refused)?;
            client.out.ok();
        }
        N::AclDeluser => {
            let removed = change_users(cx, client, |users| replies::delete_users(users, args)).map_err(refused)?;
            client.out.int(removed as i64);
        }
        N::AclGetuser => {
            let user = cx.world.users.find(args.at(2));
            replies::write_user(user.map(|user| &**user), &mut client.out);
        }
        N::AclList => {
            client.out.array(cx.world.users.len());
            user_lines(&cx.world.users).for_each(|line| client.out.bulk(&line));
        }
        N::AclUsers => {
            client.out.array(cx.world.users.len());
            cx.world.users.iter().for_each(|user| client.out.bulk(user.name()));
        }
        N::AclDryrun => {
            let databases = cx.shared.store.databases();
            replies::dry_run(&cx.world.users, args, client.db.0, databases, &mut client.out).map_err(refused)?;
        }
        N::AclLog => {
            let (mut log, now) = (cx.shared.acl_log.lock(), cx.shared.clock.wall());
            replies::log(&mut log, args, now, &mut client.out).map_err(refused)?;
        }
        N::AclGenpass => generate(client, args)?,
        N::AclLoad => {
            load_file(cx, client)?;
            client.out.ok();
        }
        N::AclSave => {
            save_file(cx)?;
            client.out.ok();
        }
        _ => return Err("ERR unknown subcommand of ACL".into()),
    }
    Ok(Flow::Next)
}

fn refused(fail: Fail) -> Refusal {
    Refusal(String::from_utf8_lossy(&fail.text()).into_owned().into())
}

/// ACL GENPASS [bits]: a digit for every four bits.
fn generate(client: &mut Client, args: Args<'_>) -> Result<(), Refusal> {
    let digits = replies::password_bits(args).map_err(refused)?.div_ceil(4);
    let mut bytes = vec![0; digits.div_ceil(2)];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    read.map_err(|e| format!("ERR no randomness to be had: {e}"))?;
    let text = Hex(&bytes).to_string();
    client.out.bulk(&text.as_bytes()[..digits]);
    Ok(())
}
