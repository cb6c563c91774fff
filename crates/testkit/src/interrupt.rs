//! Ctrl-C in the middle of a run: destructors do not run then, so what this process started is ended here.

use crate::Result;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

/// Exit status of a process that ended because of SIGINT, as shells report it.
const INTERRUPTED: i32 = 130;

static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
static HANDLER: Once = Once::new();

fn folders() -> MutexGuard<'static, Vec<PathBuf>> {
    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has `folder`, and the server whose cluster is in it, ended with this process.
pub(crate) fn remember(folder: &Path) {
    // A program with a handler of its own decides itself what an interrupt does.
    HANDLER.call_once(|| drop(ctrlc::set_handler(end)));
    folders().push(folder.to_path_buf());
}

/// The folder goes the usual way.
pub(crate) fn forget(folder: &Path) {
    folders().retain(|known| known != folder);
}

fn end() {
    let left: Vec<PathBuf> = folders().drain(..).collect();
    // Newest first: clusters before the server they run on. The process ends now, so nobody can be told of a failure.
    for folder in left.iter().rev() {
        let _ = stop(&folder.join("data"));
        let _ = fs::remove_dir_all(folder);
    }
    std::process::exit(INTERRUPTED);
}

/// Stops the server of a data directory at once, if there is one.
fn stop(data: &Path) -> Result<()> {
    let file = fs::read_to_string(data.join("postmaster.pid"))?;
    let postmaster = Pid::from_raw(file.lines().next().unwrap_or("").trim().parse()?);
    kill(postmaster, Signal::SIGQUIT)?;
    for _ in 0..100 {
        if kill(postmaster, None) == Err(Errno::ESRCH) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
