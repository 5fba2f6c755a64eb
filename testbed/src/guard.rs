//! The guardian: removes a lab when its owner is done with it or dies, by whatever signal.

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

/// Reads what the lab owns, one item per line, until its owner closes the pipe: by dropping the lab, or by dying. Then it
/// kills every process in the lab's namespaces (nobody else's can be there), deletes them, and removes the directory.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
namespaces= directory=
while read -r kind value; do
    case $kind in
        namespace) namespaces="$value $namespaces" ;;
        directory) directory=$value ;;
    esac
done
for namespace in $namespaces; do
    pids=$(ip netns pids "$namespace" 2>/dev/null) && [ -n "$pids" ] && kill -9 $pids 2>/dev/null
done
for namespace in $namespaces; do
    ip netns delete "$namespace" 2>/dev/null
done
[ -n "$directory" ] && rm -rf -- "$directory"
exit 0
"#;

/// A child process outside our process group, so that Ctrl-C does not reach it, that outlives us just long enough.
#[derive(Debug)]
pub(crate) struct Guard(Child);

impl Guard {
    pub(crate) fn start() -> io::Result<Self> {
        Command::new("/bin/sh")
            .args(["-c", SCRIPT, "bugle-lab-guard"])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map(Self)
    }

    /// Hands a namespace over, before it is created.
    pub(crate) fn owns_namespace(&mut self, name: &str) -> io::Result<()> {
        self.tell("namespace", name)
    }

    /// Hands the lab's directory over, before it is created.
    pub(crate) fn owns_directory(&mut self, path: &str) -> io::Result<()> {
        self.tell("directory", path)
    }

    fn tell(&mut self, kind: &str, value: &str) -> io::Result<()> {
        match &mut self.0.stdin {
            Some(pipe) => writeln!(pipe, "{kind} {value}"),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // Nothing can be done about a guardian that fails, and the namespaces' names say whose they were.
        let _ = self.0.wait();
    }
}
