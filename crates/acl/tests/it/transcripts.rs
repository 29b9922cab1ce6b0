//! Requests with their replies, recorded from 9.1.2, run again on users in process. `> request`, `< reply`.

use baton_acl::{Defaults, Users, replies, user_lines};
use baton_base::num::parse_u64;
use baton_base::quote::{quoted, split_words};
use baton_commands::Fail;
use baton_resp::{Args, Out, OwnedArgs, Proto};

const DATABASES: u32 = 16;

struct Client {
    users: Users,
    db: u32,
    out: Out,
}

impl Client {
    fn run(&mut self, args: Args<'_>) -> Result<(), Fail> {
        let defaults = Defaults::default();
        let sub = args.at(1).to_ascii_lowercase();
        match sub.as_slice() {
            b"setuser" => {
                self.users = replies::set_user(&self.users, args, defaults)?;
                self.out.ok();
            }
            b"deluser" => {
                let (users, removed) = replies::delete_users(&self.users, args)?;
                self.users = users;
                self.out.int(removed as i64);
            }
            b"getuser" => replies::write_user(self.users.find(args.at(2)).map(|user| &**user), &mut self.out),
            b"list" => {
                self.out.array(self.users.len());
                user_lines(&self.users).for_each(|line| self.out.bulk(&line));
            }
            b"users" => {
                self.out.array(self.users.len());
                self.users.iter().for_each(|user| self.out.bulk(user.name()));
            }
            b"dryrun" => replies::dry_run(&self.users, args, self.db, DATABASES, &mut self.out)?,
            db => {
                self.db = parse_u64(db).expect("SELECT") as u32;
                self.out.ok();
            }
        }
        Ok(())
    }

    fn reply(&mut self, line: &str) -> String {
        let request = OwnedArgs::from_slices(&split_words(line.as_bytes()).expect("balanced quotes"));
        self.out.buf.clear();
        if let Err(fail) = self.run(request.as_args()) {
            fail.write(&mut self.out);
        }
        let text = quoted(&self.out.buf).replace("\\\"", "\"");
        text[1..text.len() - 1].to_owned()
    }
}

fn check(transcript: &str) {
    let mut client = Client { users: Users::default(), db: 0, out: Out::new(Proto::V2) };
    let mut lines = transcript.lines().filter(|line| line.starts_with(['>', '<']));
    while let (Some(request), Some(reply)) = (lines.next(), lines.next()) {
        assert_eq!(client.reply(&request[2..]), &reply[2..], "{request}");
    }
}

#[test]
fn rules_are_shown_as_the_original_shows_them() {
    check(include_str!("transcripts/rules.txt"));
}

#[test]
fn what_users_may_do_is_what_the_original_lets_them_do() {
    check(include_str!("transcripts/check.txt"));
}
