//! The daemon as its operator and its service manager meet it.

#[cfg(test)]
mod daemon {
    use std::fs;
    use std::os::unix::net::UnixDatagram;
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Output, Stdio};
    use std::time::Duration;

    use bugle_api::Client;
    use bugle_api::model::{HostAdd, Topic};
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::{Pid, Uid};
    use tempfile::TempDir;

    /// Far more than anything here takes.
    const LONG: Duration = Duration::from_secs(30);

    fn bugled(arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_bugled")).args(arguments).output().unwrap()
    }

    fn complaint(output: &Output) -> String {
        String::from_utf8(output.stderr.clone()).unwrap()
    }

    /// A command that runs the daemon in a network namespace of its own, after a shell script has furnished that.
    fn in_namespace(furnish: &str, config: &Path) -> Command {
        let mut command = Command::new("unshare");
        let script = format!("ip link set lo up && {furnish} exec \"$@\"");
        command
            .args(["--net", "sh", "-c", &script, "sh", env!("CARGO_BIN_EXE_bugled"), "--config"])
            .arg(config);
        command
    }

    /// Whether this user may make namespaces.
    fn is_root() -> bool {
        let root = Uid::effective().is_root();
        if !root {
            println!("skipped: needs root");
        }
        root
    }

    /// A daemon in a network namespace of its own, whose loopback has the address 192.0.2.1.
    struct Running {
        daemon: Child,
        notifications: UnixDatagram,
        directory: TempDir,
    }

    impl Running {
        /// Starts it and waits until it says that it is ready.
        fn start(config: &str, environment: &[(&str, &str)]) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let log = fs::File::create(directory.path().join("log")).unwrap();
            Self::start_logging(log.into(), directory, config, environment)
        }

        /// The same, with its log elsewhere than in the directory.
        fn start_logging(
            log: Stdio,
            directory: TempDir,
            config: &str,
            environment: &[(&str, &str)],
        ) -> Self {
            let notify = directory.path().join("notify");
            let notifications = UnixDatagram::bind(&notify).unwrap();
            notifications.set_read_timeout(Some(LONG)).unwrap();
            let file = write_config(directory.path(), config);
            let daemon = in_namespace("ip addr add 192.0.2.1/32 dev lo &&", &file)
                .env("NOTIFY_SOCKET", &notify)
                .envs(environment.iter().copied())
                .stderr(log)
                .spawn()
                .unwrap();
            let running = Self { daemon, notifications, directory };
            running.wait_for("READY=1");
            running
        }

        fn socket(&self) -> PathBuf {
            socket(self.directory.path())
        }

        fn log(&self) -> String {
            fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
        }

        /// Waits until the service manager is told something that begins like this.
        fn wait_for(&self, beginning: &str) {
            let mut buffer = [0; 4096];
            loop {
                let Ok(length) = self.notifications.recv(&mut buffer) else {
                    panic!("no {beginning}; the log:\n{}", self.log());
                };
                if String::from_utf8_lossy(&buffer[..length]).starts_with(beginning) {
                    return;
                }
            }
        }

        fn signal(&self, signal: Signal) {
            kill(Pid::from_raw(self.daemon.id().cast_signed()), signal).unwrap();
        }

        /// Replaces the configuration file and has the daemon read it.
        fn reload(&self, config: &str) {
            write_config(self.directory.path(), config);
            self.signal(Signal::SIGHUP);
            self.wait_for("RELOADING=1");
            self.wait_for("READY=1");
        }

        /// Stops it with SIGTERM; its exit status and its log.
        fn stop(mut self) -> (Option<i32>, String) {
            self.signal(Signal::SIGTERM);
            self.wait_for("STOPPING=1");
            let status = self.daemon.wait().unwrap();
            assert!(!self.socket().exists());
            (status.code(), self.log())
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            // Both fail if it has ended, which is fine.
            let _ = self.daemon.kill();
            let _ = self.daemon.wait();
        }
    }

    fn socket(directory: &Path) -> PathBuf {
        directory.join("run/bugle.sock")
    }

    /// Writes a file with `[api]` in its first two lines.
    fn write_config(directory: &Path, rest: &str) -> PathBuf {
        let file = directory.join("bugle.toml");
        let text = format!("[api]\nsocket = \"{}\"\n{rest}", socket(directory).display());
        fs::write(&file, text).unwrap();
        file
    }

    #[test]
    fn a_bad_file_is_refused_with_every_mistake_and_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("bugle.toml");
        let path = file.to_str().unwrap();
        fs::write(&file, "router-id = '192.0.2.1'\n").unwrap();
        let output = bugled(&["--config", path, "--check"]);
        assert_eq!((output.status.code(), complaint(&output)), (Some(0), String::new()));

        fs::write(&file, "router-id = '192.0.2'\nhostnam = 'hv-a'\n").unwrap();
        for arguments in [vec!["--config", path, "--check"], vec!["--config", path]] {
            let output = bugled(&arguments);
            assert_eq!(output.status.code(), Some(2));
            insta::assert_snapshot!("mistakes", complaint(&output).replace(path, "FILE"));
        }
        assert_eq!(bugled(&["--config", "/nonexistent"]).status.code(), Some(2));
        assert_eq!(bugled(&[]).status.code(), Some(2));
        assert_eq!(bugled(&["--config", path, "--log", "a=b=c"]).status.code(), Some(2));
    }

    #[test]
    fn help_and_man_page_come_from_the_definition() {
        let help = bugled(&["--help"]);
        insta::assert_snapshot!("help", String::from_utf8(help.stdout).unwrap());
        let man = String::from_utf8(bugled(&["--man"]).stdout).unwrap();
        assert!(man.contains(".TH bugled 8"), "{man}");
    }

    #[test]
    fn without_a_router_id_anywhere_it_does_not_start() {
        if !is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let file = write_config(directory.path(), "");
        let output = in_namespace("", &file).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let complaint = complaint(&output);
        assert!(complaint.contains("router-id is not set"), "{complaint}");
    }

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = write_config(directory.path(), "mistake = 1\n");
        let file = file.to_str().unwrap();
        for (level, refused) in [
            ("loud", true),
            ("info,hush", true),
            ("info,bugle_ospf=loud", true),
            ("debug", false),
            ("warn,bugle_ospf=trace,tokio=off", false),
        ] {
            let output = bugled(&["--config", file, "--log", level]);
            assert_eq!(output.status.code(), Some(2), "{level}");
            let complaint = complaint(&output);
            assert_eq!(complaint.contains("cannot log"), refused, "{level}: {complaint}");
        }
    }

    #[test]
    fn a_log_that_cannot_be_written_does_no_harm() {
        if !is_root() {
            return;
        }
        let log = fs::File::create("/dev/full").unwrap();
        let running = Running::start_logging(log.into(), tempfile::tempdir().unwrap(), "", &[]);
        assert_eq!(running.stop().0, Some(0));
    }

    #[tokio::test]
    async fn nothing_waits_for_a_log_that_nobody_reads() {
        if !is_root() {
            return;
        }
        let (_unread, log) = std::io::pipe().unwrap();
        let running = Running::start_logging(log.into(), tempfile::tempdir().unwrap(), "", &[]);
        // A complaint about each line is more than a pipe holds.
        let lines: Vec<_> = (0..10_000).map(|n| format!("nonsense{n} = 1")).collect();
        running.reload(&lines.join("\n"));
        let client = Client::new(&running.socket());
        let summary = client.show(Topic::Summary, None).await.unwrap();
        assert!(summary.contains("\"router_id\":\"192.0.2.1\""), "{summary}");
        assert_eq!(running.stop().0, Some(0));
    }

    #[test]
    fn without_the_capabilities_it_needs_it_does_not_start() {
        if !is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let ospf = "router-id = \"192.0.2.1\"\n[[vrf.default.ospf.interface]]\nname = \"eth0\"\n";
        let file = directory.path().join("bugle.toml");
        let socket = socket(directory.path());
        fs::write(&file, format!("{ospf}[api]\nsocket = \"{}\"\n", socket.display())).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-net_raw", env!("CARGO_BIN_EXE_bugled"), "--config"]);
        let output = command.arg(&file).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let complaint = complaint(&output);
        assert!(complaint.contains("needs the capabilities NET_RAW: run"), "{complaint}");
    }

    #[tokio::test]
    async fn a_reload_is_all_or_nothing() {
        if !is_root() {
            return;
        }
        let tens = "[vrf.default.ospf]\n[vrf.default.hosts]\nprefixes = ['10.0.0.0/8']\n";
        let elevens = tens.replace("10.0", "11.0");
        let running = Running::start(tens, &[]);
        let client = Client::new(&running.socket());
        let summary = client.show(Topic::Summary, None).await.unwrap();
        assert!(summary.contains("\"router_id\":\"192.0.2.1\""), "{summary}");
        // Who is refused, and why, tells which configuration is in force.
        let refusal = async |address: &str| {
            let address = address.parse().unwrap();
            let host = HostAdd { address, vrf: None, port: None, mac: None, candidate: true };
            client.add_host(&host).await.unwrap_err().to_string()
        };
        assert!(refusal("11.0.0.1").await.contains("10.0.0.0/8"));

        running.reload(&format!("{elevens}mood = 'bad'\n[fib]\nretain = 1\n"));
        assert!(refusal("11.0.0.1").await.contains("10.0.0.0/8"));
        running.reload(&elevens);
        assert!(refusal("10.0.0.1").await.contains("11.0.0.0/8"));
        running.reload(&format!("http = '127.0.0.1:0'\n{tens}"));
        assert!(refusal("10.0.0.1").await.contains("11.0.0.0/8"));

        let (status, log) = running.stop();
        assert_eq!(status, Some(0), "{log}");
        for said in [
            "line 6, column 1: vrf.default.hosts.mood: unknown key",
            "line 8, column 10: fib.retain: expected true or false",
            "[api] differs from what is in force",
        ] {
            assert!(log.contains(said), "{said} is not in the log:\n{log}");
        }
    }

    #[test]
    fn the_watchdog_is_fed() {
        if !is_root() {
            return;
        }
        let running = Running::start("", &[("WATCHDOG_USEC", "200000")]);
        running.wait_for("WATCHDOG=1");
        running.wait_for("WATCHDOG=1");
        assert_eq!(running.stop().0, Some(0));
    }

    #[tokio::test]
    async fn a_second_daemon_does_not_take_the_socket_of_the_first() {
        if !is_root() {
            return;
        }
        let running = Running::start("", &[]);
        let file = running.directory.path().join("bugle.toml");
        let output = in_namespace("ip addr add 192.0.2.2/32 dev lo &&", &file).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(complaint(&output).contains("another daemon already serves"), "{output:?}");
        Client::new(&running.socket()).show(Topic::Summary, None).await.unwrap();
    }
}
