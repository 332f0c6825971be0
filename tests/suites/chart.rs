//! The Helm chart: it lints, renders under the values that users bring, and keeps the shape that makes it safe
//! (non-root fetchers, read-only roots, no privilege that is not needed).
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write as _;
use std::process::Command;

use eyas_tests::{Finished, Site, eyasd, peer, run, skip, workspace_root};
use serde_json::{Value, json};

/// Renders the chart with a values file; `None` (said aloud) when helm is not there.
fn render(test: &str, values: &str) -> Option<Finished> {
    let Some(helm) = peer("HELM") else {
        skip(test, "helm is not there (HELM=…, scripts/peers builds it)");
        return None;
    };
    let mut file = tempfile::NamedTempFile::new().expect("values file");
    file.write_all(values.as_bytes()).expect("values written");
    let mut command = Command::new(helm);
    command
        .args(["template", "release", "charts/eyas", "--kube-version", "1.30.0", "-f"])
        .arg(file.path());
    Some(run(command.current_dir(workspace_root())))
}

fn documents(rendered: &Finished) -> Vec<Value> {
    serde_saphyr::from_multiple(&rendered.stdout).expect("rendered YAML")
}

/// The pod specification of the one DaemonSet.
fn pod(documents: &[Value]) -> Value {
    let daemonset =
        documents.iter().find(|document| document["kind"] == "DaemonSet").expect("a DaemonSet");
    daemonset["spec"]["template"]["spec"].clone()
}

fn container<'a>(pod: &'a Value, list: &str, name: &str) -> &'a Value {
    pod[list]
        .as_array()
        .and_then(|all| all.iter().find(|container| container["name"] == name))
        .unwrap_or_else(|| panic!("no container `{name}` in {list}"))
}

#[test]
fn lints() {
    let Some(helm) = peer("HELM") else { return skip("chart::lints", "helm is not there") };
    let mut command = Command::new(helm);
    run(command
        .args(["lint", "--strict", "--kube-version", "1.30.0", "charts/eyas"])
        .current_dir(workspace_root()))
    .expect_code(0);
}

#[test]
fn default_values_give_install_sensor_and_follow() {
    let Some(rendered) = render("chart::default", "{}") else { return };
    let documents = documents(rendered.expect_code(0));
    let kinds: Vec<&Value> = documents.iter().map(|document| &document["kind"]).collect();
    assert_eq!(
        kinds,
        [&json!("ServiceAccount"), &json!("ConfigMap"), &json!("ConfigMap"), &json!("DaemonSet")]
    );

    let pod = pod(&documents);
    let install = container(&pod, "initContainers", "falcoctl-artifact-install");
    assert_eq!(install["args"][1], "install");
    let follow = container(&pod, "containers", "falcoctl-artifact-follow");
    assert_eq!(follow["args"][1], "follow");
    for fetcher in [install, follow] {
        let context = &fetcher["securityContext"];
        assert_eq!(context["runAsNonRoot"], true);
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}));
    }

    let sensor = container(&pod, "containers", "eyasd");
    let context = &sensor["securityContext"];
    assert_eq!(context["privileged"], Value::Null);
    assert_eq!(context["readOnlyRootFilesystem"], true);
    assert_eq!(context["capabilities"]["add"], json!(["BPF", "PERFMON", "SYS_PTRACE"]));
}

#[test]
fn follow_reaches_the_sensor_through_the_shared_socket() {
    let Some(rendered) = render("chart::socket", "{}") else { return };
    let pod = pod(&documents(rendered.expect_code(0)));
    let mounted = |name: &str| {
        container(&pod, "containers", name)["volumeMounts"]
            .as_array()
            .expect("mounts")
            .iter()
            .find(|mount| mount["name"] == "control")
            .map(|mount| mount["mountPath"].clone())
    };
    assert_eq!(mounted("eyasd"), Some(json!("/run/eyas")));
    assert_eq!(mounted("falcoctl-artifact-follow"), Some(json!("/run/eyas")));
    let volumes = pod["volumes"].as_array().expect("volumes");
    let control =
        volumes.iter().find(|volume| volume["name"] == "control").expect("control volume");
    assert!(control["emptyDir"].is_object(), "{control}");
}

#[test]
fn the_kubelet_asks_the_sidecar_itself() {
    let Some(rendered) = render("chart::probes", "falcoctl: {artifact: {follow: {port: 9000}}}")
    else {
        return;
    };
    let pod = pod(&documents(rendered.expect_code(0)));
    let follow = container(&pod, "containers", "falcoctl-artifact-follow");
    assert_eq!(follow["livenessProbe"]["httpGet"], json!({"path": "/healthz", "port": "follow"}));
    assert_eq!(follow["readinessProbe"]["httpGet"], json!({"path": "/readyz", "port": "follow"}));
    assert_eq!(follow["ports"][0]["containerPort"], 9000);
    let args = follow["args"].as_array().expect("arguments");
    assert!(args.contains(&json!("--listen=0.0.0.0:9000")), "{args:?}");
}

#[test]
fn the_programs_accept_the_configuration_that_is_rendered() {
    let Some(rendered) = render("chart::configuration", "{}") else { return };
    let documents = documents(rendered.expect_code(0));
    let site = Site::new();
    let config = |key: &str| {
        let text = documents
            .iter()
            .find_map(|document| document["data"][key].as_str())
            .expect("configuration");
        fs::write(site.path(key), text).expect("written");
    };
    ["eyas.yaml", "eyasd.yaml", "trust.yaml"].into_iter().for_each(config);
    let rules = workspace_root().join("rules/eyas-rules/eyas-rules.yaml");
    let mut sensor = Command::new(eyasd());
    sensor.arg("--check").arg("--config").arg(site.path("eyasd.yaml")).arg("--rules").arg(rules);
    run(&mut sensor).expect_code(0);

    // The references come from the rendered file; the index is replaced by an empty one, so that nothing is asked.
    let arguments = [
        "artifact",
        "install",
        "--policy",
        "trust.yaml",
        "--index-file",
        "index.yaml",
        "--dry-run",
    ];
    site.run(&arguments).expect_code(3).expect_stderr(&["eyas-rules"]);
}

#[test]
fn the_image_is_a_layout_with_the_same_digest_each_time() {
    let programs = tempfile::tempdir().expect("folder");
    for name in ["eyas", "eyasd"] {
        fs::write(programs.path().join(name), name).expect("stand-in for a program");
    }
    let out = tempfile::tempdir().expect("folder");
    let build = |name: &str| {
        let mut command = Command::new(workspace_root().join("scripts/image"));
        let folder = out.path().join(name);
        run(command.arg(&folder).env("PROGRAMS", programs.path()))
            .expect_code(0)
            .stdout
            .trim()
            .to_owned()
    };
    let digest = build("first");
    assert_eq!(digest, build("second"));

    let read = |digest: &str| -> Value {
        let hex = digest.strip_prefix("sha256:").expect("digest");
        let bytes = fs::read(out.path().join("first/blobs/sha256").join(hex)).expect("blob");
        serde_json::from_slice(&bytes).expect("JSON blob")
    };
    let config = read(read(&digest)["config"]["digest"].as_str().expect("configuration"));
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["config"]["Entrypoint"], json!(["/usr/bin/eyas"]));
}

#[test]
fn host_paths_name_their_type() {
    let Some(rendered) = render("chart::host_paths", "{}") else { return };
    let pod = pod(&documents(rendered.expect_code(0)));
    for volume in pod["volumes"].as_array().expect("volumes") {
        if volume["hostPath"].is_object() {
            assert_eq!(volume["hostPath"]["type"], "Directory", "{volume}");
        }
    }
}

#[test]
fn values_of_existing_users_carry_over() {
    let values = r#"
image: {registry: registry.example.org, repository: team/eyas, tag: "9"}
tolerations: [{operator: Exists}]
customRules: {site.yaml: "- list: site\n  items: []\n"}
registry: {existingSecret: pull}
proxy: {https: "http://proxy:3128", "no": ".svc"}
extra: {env: [{name: A, value: "b"}], args: [--log-level=debug]}
falcoctl:
  artifact:
    follow: {enabled: false}
    install: {env: [{name: FALCOCTL_ARTIFACT_NOVERIFY, value: "false"}]}
  config:
    artifact: {install: {refs: ["demo:1"]}}
"#;
    let Some(rendered) = render("chart::values", values) else { return };
    let documents = documents(rendered.expect_code(0));
    let pod = pod(&documents);
    assert_eq!(pod["tolerations"], json!([{"operator": "Exists"}]));
    assert_eq!(pod["containers"].as_array().map(Vec::len), Some(1), "follow is off");
    let install = container(&pod, "initContainers", "falcoctl-artifact-install");
    assert_eq!(install["image"], "registry.example.org/team/eyas:9");
    let names: Vec<&str> = install["env"]
        .as_array()
        .expect("env")
        .iter()
        .filter_map(|entry| entry["name"].as_str())
        .collect();
    assert_eq!(
        names,
        ["HTTPS_PROXY", "NO_PROXY", "HOME", "DOCKER_CONFIG", "FALCOCTL_ARTIFACT_NOVERIFY"]
    );
    let config = documents
        .iter()
        .find_map(|document| document["data"]["eyas.yaml"].as_str())
        .expect("configuration of install and follow");
    assert!(config.contains("demo:1"), "{config}");
    assert!(
        documents.iter().any(|document| document["data"]["site.yaml"].is_string()),
        "custom rules"
    );
}

#[test]
fn what_cannot_be_honoured_stops_rendering() {
    let cases = [
        ("driver: {kind: kmod}", "driver.kind `kmod`"),
        ("driver: {ebpf: {path: x}}", "driver.ebpf was removed"),
        ("falco: {grpc: {enabled: true}}", "falco.grpc was removed"),
        ("controller: {kind: deployment}", "controller.kind `deployment`"),
        ("falcoctl: {config: {artifact: {install: {refs: []}}}}", "refs is empty"),
    ];
    for (values, message) in cases {
        let Some(rendered) = render("chart::refusals", values) else { return };
        rendered.expect_code(1).expect_stderr(&[message]);
    }
}
