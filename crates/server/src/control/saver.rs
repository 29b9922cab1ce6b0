//! Saves what the cluster machine wants to remember: at once where it waits for that, else on a thread of its own, so
//! that the disk never keeps the bus from being answered. A later text is never overtaken by an earlier one.

use std::io;
use std::sync::Arc;

use baton_cluster::EpochRecord;
use crossbeam_channel::{Sender, bounded};
use parking_lot::Mutex;

use super::nodes_file::{EpochsFile, NodesFile};

/// The files of a cluster node and who writes them.
pub struct Saver {
    epochs: EpochsFile,
    behind: Arc<Behind>,
    wake: Sender<()>,
}

struct Behind {
    /// Locked before `text` is taken: whoever writes has the newest text.
    file: Mutex<NodesFile>,
    /// What is still to be written.
    text: Mutex<Option<String>>,
}

impl Saver {
    /// Takes the files into use. `report` hears how every write of the thread went.
    pub fn start(
        file: NodesFile,
        epochs: EpochsFile,
        report: impl Fn(io::Result<()>) + Send + 'static,
    ) -> io::Result<Saver> {
        let behind = Arc::new(Behind { file: Mutex::new(file), text: Mutex::new(None) });
        let (wake, woken) = bounded(1);
        let on_thread = Arc::clone(&behind);
        std::thread::Builder::new().name("baton-nodes-file".into()).spawn(move || {
            for () in woken {
                let mut file = on_thread.file.lock();
                let text = on_thread.text.lock().take();
                if let Some(text) = text {
                    report(file.save(&text, true));
                }
            }
        })?;
        Ok(Saver { epochs, behind, wake })
    }

    /// Makes the configuration durable before it returns.
    pub fn save_now(&self, text: &str) -> io::Result<()> {
        let mut file = self.behind.file.lock();
        self.behind.text.lock().take();
        file.save(text, true)
    }

    /// Makes the configuration durable soon.
    pub fn save_soon(&self, text: String) {
        *self.behind.text.lock() = Some(text);
        // A full channel means that the thread has yet to look.
        let _ = self.wake.try_send(());
    }

    /// Makes the record durable before it returns.
    pub fn save_epochs(&mut self, record: &EpochRecord) -> io::Result<()> {
        self.epochs.save(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_text_stays() {
        let dir = std::env::temp_dir().join(format!("baton-saver-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("nodes.conf");
        let (file, _) = NodesFile::open(&path).unwrap();
        let (epochs, _) = EpochsFile::open(&path).unwrap();
        let (tell, told) = bounded(64);
        let saver = Saver::start(file, epochs, move |outcome| tell.send(outcome).unwrap()).unwrap();
        for round in 0..20 {
            saver.save_soon(format!("soon {round}\n"));
            saver.save_now(&format!("now {round}\n")).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("now {round}\n"));
        }
        told.try_iter().for_each(|outcome| outcome.unwrap());
        saver.save_soon("last\n".to_owned());
        told.recv().unwrap().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "last\n");
    }
}
