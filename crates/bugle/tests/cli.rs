//! The command line as users meet it: the built binary, its output and its exit status.

#[cfg(test)]
mod cli {
    use std::ffi::OsStr;
    use std::net::IpAddr;
    use std::path::Path;
    use std::process::Stdio;
    use std::sync::Arc;

    use bugle_api::model::{Event, Explanation, HostAdd, Metric, Reply, Topic};
    use bugle_api::{Backend, Refusal, Server};
    use tokio::io::{AsyncBufReadExt, BufReader};
    use tokio::process::Command;
    use tokio::sync::broadcast;
    use tokio::task::JoinSet;

    /// What a command came to.
    struct Outcome {
        status: i32,
        output: String,
        error: String,
    }

    fn command(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bugle"));
        command.args(arguments).kill_on_drop(true).stdin(Stdio::null());
        command
    }

    async fn bugle(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Outcome {
        let done = command(arguments).output().await.unwrap();
        Outcome {
            status: done.status.code().unwrap(),
            output: String::from_utf8(done.stdout).unwrap(),
            error: String::from_utf8(done.stderr).unwrap(),
        }
    }

    /// Refuses 10.0.0.1, otherwise content.
    struct Fake(broadcast::Sender<Event>);

    impl Backend for Fake {
        async fn show(&self, topic: Topic, vrf: Option<String>) -> Result<Reply, Refusal> {
            if let Some(vrf) = vrf {
                return Err(Refusal::UnknownVrf(vrf));
            }
            let _ = self.0.send(event(topic.name()));
            Ok(Reply::Bfd(Vec::new()))
        }

        async fn explain(&self, _: IpAddr, _: Option<String>) -> Result<Explanation, Refusal> {
            Err(Refusal::Stopping)
        }

        async fn add_host(&self, host: HostAdd) -> Result<(), Refusal> {
            if host.address == IpAddr::from([10, 0, 0, 1]) {
                return Err(Refusal::Refused("10.0.0.1 is the gateway".to_owned()));
            }
            Ok(())
        }

        async fn remove_host(&self, _: IpAddr, _: Option<String>) -> Result<(), Refusal> {
            Ok(())
        }

        async fn metrics(&self) -> Result<Vec<Metric>, Refusal> {
            Ok(Vec::new())
        }

        fn watch(&self) -> broadcast::Receiver<Event> {
            self.0.subscribe()
        }
    }

    fn event(kind: &str) -> Event {
        Event { time_us: 1, kind: kind.to_owned(), vrf: None, message: "it happened".to_owned() }
    }

    /// Serves the fake until dropped.
    async fn serve(socket: &Path) -> JoinSet<()> {
        let server = Server::bind(socket, None).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(server.run(Arc::new(Fake(broadcast::channel(16).0))));
        tasks
    }

    #[tokio::test]
    async fn help_names_every_command() {
        let help = bugle(["--help"]).await;
        assert_eq!(help.status, 0);
        insta::assert_snapshot!(help.output);
        insta::assert_snapshot!(bugle(["show", "--help"]).await.output);
        insta::assert_snapshot!(bugle(["host", "add", "--help"]).await.output);
    }

    #[tokio::test]
    async fn usage_errors_exit_with_2() {
        for arguments in [
            vec!["shw"],
            vec!["show"],
            vec!["show", "rotues"],
            vec!["host", "add", "10.0.0"],
            vec!["host", "add", "10.0.0.9", "--mac", "52:54"],
            vec!["explain", "here"],
        ] {
            let outcome = bugle(&arguments).await;
            assert_eq!((outcome.status, outcome.output.as_str()), (2, ""), "{arguments:?}");
            assert!(outcome.error.starts_with("error: "), "{}", outcome.error);
        }
    }

    #[tokio::test]
    async fn without_a_daemon_the_socket_is_named_and_the_status_is_1() {
        let outcome = bugle(["--socket", "/nonexistent/bugle.sock", "show", "routes"]).await;
        assert_eq!(outcome.status, 1);
        insta::assert_snapshot!(outcome.error);
    }

    #[tokio::test]
    async fn commands_reach_the_daemon() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("bugle.sock");
        let _server = serve(&socket).await;
        let socket = socket.to_str().unwrap();

        let outcome = bugle(["--socket", socket, "show", "bfd"]).await;
        assert_eq!(
            (outcome.status, outcome.output.as_str()),
            (0, "VRF  INTERFACE  ADDRESS  STATE  DIAGNOSTIC  TX  DETECTION  LAST PACKET  DOWNS\n")
        );
        let outcome = bugle(["show", "bfd", "--json", "--socket", socket]).await;
        assert_eq!((outcome.status, outcome.output.as_str()), (0, "[]\n"));
        let outcome = bugle(["--socket", socket, "host", "add", "10.0.0.9", "--candidate"]).await;
        assert_eq!((outcome.status, outcome.output + &outcome.error), (0, String::new()));
        let outcome = bugle(["--socket", socket, "--json", "host", "remove", "10.0.0.9"]).await;
        assert_eq!((outcome.status, outcome.output.as_str()), (0, "{}\n"));

        let outcome = bugle(["--socket", socket, "host", "add", "10.0.0.1"]).await;
        assert_eq!(outcome.status, 1);
        assert_eq!(outcome.error, "bugle: 10.0.0.1 is the gateway\n");
        let outcome = bugle(["--socket", socket, "show", "routes", "--vrf", "red"]).await;
        assert_eq!(outcome.status, 1);
        assert!(outcome.error.contains("there is no VRF called \"red\""), "{}", outcome.error);
        let outcome = bugle(["--socket", socket, "explain", "10.0.0.9"]).await;
        assert_eq!((outcome.status, outcome.output.as_str()), (1, ""));
    }

    #[tokio::test]
    async fn watch_prints_events_until_the_daemon_stops() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("bugle.sock");
        let mut server = serve(&socket).await;
        let socket = socket.to_str().unwrap();
        let mut watch = command(["--socket", socket, "--json", "watch"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
        // Each `show` makes an event; the first ones may come before `watch` listens.
        let line = loop {
            bugle(["--socket", socket, "show", "bfd"]).await;
            tokio::select! {
                biased;
                line = lines.next_line() => break line.unwrap().unwrap(),
                () = tokio::task::yield_now() => {}
            }
        };
        assert_eq!(line, r#"{"time_us":1,"kind":"bfd","vrf":null,"message":"it happened"}"#);
        server.shutdown().await;
        assert_eq!(watch.wait().await.unwrap().code(), Some(1));
    }

    #[tokio::test]
    async fn check_reports_every_mistake_with_its_line_and_exits_with_2() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("bugle.toml");
        let path = file.to_str().unwrap();
        std::fs::write(&file, "[fib]\nnexthop-compat = 'off'\n").unwrap();
        let outcome = bugle(["check", path]).await;
        assert_eq!((outcome.status, outcome.output), (0, format!("{path}: no mistakes\n")));

        std::fs::write(&file, "[fib]\nenable = true\nretain = 1\n").unwrap();
        let outcome = bugle(["check", path]).await;
        assert_eq!((outcome.status, outcome.output.as_str()), (2, ""));
        insta::assert_snapshot!(outcome.error.replace(path, "FILE"));
        let outcome = bugle(["--json", "check", path]).await;
        assert_eq!((outcome.status, outcome.error.as_str()), (2, ""));
        insta::assert_snapshot!(outcome.output.replace(path, "FILE"));

        let outcome = bugle(["check", "/nonexistent"]).await;
        assert_eq!(outcome.status, 2);
        assert!(
            outcome.error.starts_with("bugle: /nonexistent: No such file"),
            "{}",
            outcome.error
        );
    }

    #[tokio::test]
    async fn sim_plays_a_scenario_and_tells_by_its_status_how_it_went() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.sim");
        let path = file.to_str().unwrap();
        let good = "topology chain 3\nhosts 1 each\nat 20s move 10.100.0.1 to r3\n";
        std::fs::write(&file, good).unwrap();
        let outcome = bugle(["sim", path]).await;
        assert_eq!((outcome.status, outcome.error.as_str()), (0, ""));
        let (told, cost) = outcome.output.trim_end().rsplit_once('\n').unwrap();
        assert!(told.ends_with("at rest everything is as it should be"), "{told}");
        assert!(cost.starts_with("it took ") && cost.ends_with(" MB of memory"), "{cost}");

        let picture = directory.path().join("a.svg");
        let outcome = bugle(["--json", "sim", path, "--svg", picture.to_str().unwrap()]).await;
        let report: serde_json::Value = serde_json::from_str(&outcome.output).unwrap();
        assert_eq!((&report["routers"], &report["rows"][1]["times"]), (&3.into(), &1.into()));
        assert!(report["cost"]["cpu"].is_u64() && report["cost"]["memory"].is_u64());
        assert!(std::fs::read_to_string(picture).unwrap().starts_with("<svg"));

        std::fs::write(&file, format!("{good}expect packets at most 1\n")).unwrap();
        let outcome = bugle(["sim", path]).await;
        assert_eq!((outcome.status, outcome.error.as_str()), (1, ""));
        assert!(outcome.output.contains("at most 1 expected"), "{}", outcome.output);

        std::fs::write(&file, "topology chain x\nat 1s jump").unwrap();
        let outcome = bugle(["sim", path]).await;
        assert_eq!(outcome.status, 2);
        assert!(outcome.error.contains(", line 1: ") && outcome.error.contains(", line 2: "));
    }

    #[tokio::test]
    async fn decode_prints_packets_and_what_is_wrong_with_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.pcap");
        let path = file.to_str().unwrap();
        std::fs::write(&file, hello_capture()).unwrap();
        let outcome = bugle(["decode", path]).await;
        assert_eq!((outcome.status, outcome.error.as_str()), (0, ""));
        insta::assert_snapshot!(outcome.output);
        let outcome = bugle(["--json", "decode", path]).await;
        let frames: serde_json::Value = serde_json::from_str(&outcome.output).unwrap();
        assert_eq!(frames[0]["ospf"]["router_id"], "192.0.2.1");

        let whole = hello_capture();
        std::fs::write(&file, &whole[..whole.len() - 1]).unwrap();
        let outcome = bugle(["--json", "decode", path]).await;
        assert_eq!((outcome.status, outcome.output.as_str()), (2, "[]\n"));
        assert!(outcome.error.contains("cut short"), "{}", outcome.error);
        std::fs::write(&file, "text").unwrap();
        let outcome = bugle(["decode", path]).await;
        assert_eq!((outcome.status, outcome.output.as_str()), (2, ""));
        // It has no end.
        assert_eq!(bugle(["decode", "/dev/zero"]).await.status, 2);
    }

    /// A capture of one Hello from 198.51.100.1, on a link without a link-layer header.
    fn hello_capture() -> Vec<u8> {
        use bugle_wire::ospf::{Auth, Header, emit_link_state_ack};
        let header = Header {
            router_id: "192.0.2.1".parse().unwrap(),
            area: "0.0.0.0".parse().unwrap(),
            auth: Auth::Null,
        };
        let ospf = emit_link_state_ack(&header, []);
        let total = u16::try_from(20 + ospf.len()).unwrap();
        let mut ip = vec![0x45, 0xc0];
        ip.extend(total.to_be_bytes());
        ip.extend([0, 0, 0, 0, 1, 89, 0, 0, 198, 51, 100, 1, 224, 0, 0, 5]);
        ip.extend(&ospf);
        let length = u32::try_from(ip.len()).unwrap().to_le_bytes();
        let mut file = Vec::new();
        // Magic, version 2.4, no offset, no accuracy, snapshot length, link type RAW.
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101] {
            file.extend(word.to_le_bytes());
        }
        // One second after the epoch.
        file.extend(1_u32.to_le_bytes());
        file.extend(0_u32.to_le_bytes());
        file.extend(length);
        file.extend(length);
        file.extend(ip);
        file
    }

    #[tokio::test]
    async fn completions_and_man_pages_come_from_the_definition() {
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let outcome = bugle(["completion", shell]).await;
            assert_eq!(outcome.status, 0);
            for word in ["candidate", "explain"] {
                assert!(outcome.output.contains(word), "{shell}: {word}");
            }
        }
        let outcome = bugle(["man"]).await;
        assert_eq!(outcome.status, 0);
        assert!(outcome.output.contains(".TH bugle 1"), "{}", outcome.output);
        let directory = tempfile::tempdir().unwrap();
        let outcome = bugle([OsStr::new("man"), directory.path().as_os_str()]).await;
        assert_eq!(outcome.status, 0);
        assert!(directory.path().join("bugle-host-add.1").exists());
    }

    #[tokio::test]
    async fn a_reader_that_leaves_is_no_error() {
        let mut child = command(["completion", "bash"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let done = child.wait_with_output().await.unwrap();
        assert_eq!(done.status.code(), Some(0));
        assert_eq!(String::from_utf8(done.stderr).unwrap(), "");
    }
}
