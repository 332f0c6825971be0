//! The command lines of the chart: an init container that installs, a sidecar that follows, a configuration that
//! cannot be written, and volumes for rules, plugins and state.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::world::{World, messages, published, saying};

/// The configuration as the chart renders it.
fn chart_configuration(world: &World, repository: &str) -> String {
    let dir = |name| world.path(name).display().to_string();
    let (rules, plugins, state) = (dir("rules"), dir("plugins"), dir("state"));
    format!(
        "\
artifact:
  allowedTypes:
  - rulesfile
  - plugin
  follow:
    every: 168h
    falcoversions: http://127.0.0.1:9/versions
    pluginsDir: {plugins}
    refs:
    - {repository}:latest
    rulesfilesDir: {rules}
    stateDir: {state}
  install:
    pluginsDir: {plugins}
    refs:
    - {repository}:latest
    resolveDeps: true
    rulesfilesDir: {rules}
    stateDir: {state}
indexes:
- name: falcosecurity
  url: http://127.0.0.1:9/index.yaml
"
    )
}

#[test]
fn init_container_and_sidecar_work_on_a_read_only_root() {
    let (_registry, repository) = published();
    let world = World::ours();
    fs::create_dir(world.path("etc")).expect("directory");
    let file = world.path("etc/falcoctl.yaml");
    fs::write(&file, chart_configuration(&world, &repository)).expect("configuration");
    for (path, mode) in
        [(file.clone(), 0o444), (world.path("etc"), 0o555), (world.path("home"), 0o555)]
    {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("read-only");
    }
    let before = fs::read_to_string(&file).expect("readable");
    let run = |line: &str| {
        let mut command = world.command(line);
        eyas_tests::run(command.args(["--config", "etc/falcoctl.yaml"]))
    };
    // The chart passes `--log-format=json`; plain HTTP is for the registry of this test.
    let init = run("artifact install --log-format=json --plain-http");
    init.expect_code(0);
    let said = messages(&init.stdout);
    assert_eq!(saying(&said, "Artifact successfully installed").len(), 1, "{}", init.stdout);
    assert!(said.iter().all(|message| message["level"] != "ERROR"), "{}", init.stdout);
    assert_eq!(world.files("rules").len(), 1);
    assert_eq!(world.state().len(), 1);
    let sidecar = run("artifact follow --log-format=json --plain-http --once");
    sidecar.expect_code(0);
    messages(&sidecar.stdout);
    assert_eq!(fs::read_to_string(&file).expect("readable"), before);
    assert!(world.files("home").is_empty());
    for path in [world.path("etc"), world.path("home")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("writable");
    }
}
