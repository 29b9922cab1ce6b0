//! Beginning to write: an append-only file that is not there yet, and the increment that the next commands go to. Reads nothing.

use std::fs::File;
use std::io::{self, Write};

use baton_aof::{Annotation, BaseFormat, Manifest, Position};
use baton_config::{Id, Settings};
use baton_rdb::{Encoder, Preamble, ReplicationPoint, VersionTarget};

use super::dir::{AofDir, DirError};
use crate::entries;
use crate::node::connection::COMPATIBLE_VERSION;
use crate::shared::Shared;

/// Opens the last increment, and makes what is missing: with nothing at all also an empty base, so that whoever reads the
/// directory finds what a rewrite leaves. Superseded files are deleted. The dataset is loaded, and the stream's history has
/// begun where there are no files yet.
///
/// # Errors
/// What the file system refused.
pub fn open(shared: &Shared, dir: &AofDir, mut manifest: Manifest) -> Result<(File, Manifest), DirError> {
    let settings = &shared.world.load().settings;
    dir.create()?;
    let before = manifest.clone();
    let had_incr = !manifest.incrs().is_empty();
    if manifest.is_empty() {
        let format = base_format(settings);
        let name = manifest.replace_base(dir.stem(), format);
        shared.log.notice(&format!("Creating AOF base file {name} on server start"));
        let bytes = match format {
            BaseFormat::Rdb => empty_snapshot(shared),
            BaseFormat::Commands => nothing_but_position(shared),
        };
        let written = write_new(&dir.path(&name), &bytes);
        written.map_err(|e| DirError::OpenLog(name.to_string(), e))?;
    }
    let name = match manifest.incrs().last() {
        Some(last) => last.name.clone(),
        None => manifest.add_incr(dir.stem()),
    };
    let log = dir.open_log(&name)?;
    if manifest != before {
        dir.persist(&manifest)?;
    }
    let verb = if had_incr { "Opening" } else { "Creating" };
    shared.log.notice(&format!("{verb} AOF incr file {name} on server start"));
    if !settings.bool(Id::AofDisableAutoGc) {
        dir.remove_history(&mut manifest, &shared.log)?;
    }
    Ok((log, manifest))
}

fn write_new(path: &std::path::Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// What bases are made of (`aof-use-rdb-preamble`).
pub(super) fn base_format(settings: &Settings) -> BaseFormat {
    if settings.bool(Id::AofUseRdbPreamble) { BaseFormat::Rdb } else { BaseFormat::Commands }
}

/// No commands, and where in which history that is.
fn nothing_but_position(shared: &Shared) -> Vec<u8> {
    let (replid, offset) = (shared.repl.history.lock().replid, shared.journal.end());
    let mut bytes = Vec::new();
    Annotation::Position(Position { replid, offset, stream_db: None }).write(&mut bytes);
    bytes
}

/// A snapshot of nothing.
fn empty_snapshot(shared: &Shared) -> Vec<u8> {
    let settings = &shared.world.load().settings;
    let mut encoder = Encoder::new(entries::encoder_options(settings, VersionTarget::Oldest));
    encoder.preamble(&Preamble {
        server_version: COMPATIBLE_VERSION,
        created_at: shared.clock.wall(),
        used_memory_bytes: crate::os_memory::used_bytes(),
        replication: Some(ReplicationPoint {
            id: shared.repl.history.lock().replid,
            offset: shared.journal.end(),
            stream_db: None,
        }),
        is_aof_base: true,
    });
    encoder.finish();
    let mut bytes = Vec::new();
    let drained: Result<(), std::convert::Infallible> = encoder.drain(|piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    });
    let Ok(()) = drained;
    bytes
}
