//! Pods: what containerd and CRI-O write down and say of them, and what a pod says of itself.

use super::*;
use crate::message::Message;

#[test]
fn kubernetes_containers_come_from_containerds_bundle() {
    let root = tempfile::tempdir().unwrap();
    let bundle = format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json");
    write(root.path(), &bundle, SPEC);
    let found = look(root.path(), &claim(Engine::Containerd, ID)).unwrap();
    assert_eq!((found.name.as_str(), found.repository()), ("app", "reg.example.com:5000/team/app"));
    assert_eq!((found.privileged, found.host_network), (Some(false), Some(true)));
    assert_eq!(found.mounts.len(), 1);
    assert_eq!((found.mounts[0].rdwr, found.mounts[0].propagation.as_str()), (false, "rprivate"));
    let pod = found.pod.as_ref().unwrap();
    assert_eq!(
        (pod.name.as_str(), pod.namespace.as_str(), pod.uid.as_str()),
        ("app-1", "prod", "u-1")
    );
}

/// A bundle as CRI-O writes it. A pod's own annotations are in there too, below what CRI-O says in a container's, and
/// over it in a sandbox's.
fn bundle_of_crio(annotations: &[(&str, &str)], network: &str) -> String {
    let mut notes = serde_json::json!({
        "io.container.manager": "cri-o",
        "io.kubernetes.cri-o.SandboxID": SANDBOX,
        "io.kubernetes.cri.container-name": "liar",
        "io.kubernetes.cri.image-name": "liar:1",
        "io.kubernetes.cri.sandbox-name": "liar",
        "io.kubernetes.cri-o.IP.0": "10.9.9.9",
        "org.opencontainers.image.ref.name": "liar:2",
        "org.systemd.property.Description": "liar",
        "nerdctl/name": "liar",
    });
    for (key, value) in annotations {
        notes[*key] = (*value).into();
    }
    serde_json::json!({
        "annotations": notes,
        "process": {"capabilities": {"bounding": ["CAP_CHOWN", "CAP_KILL"]}},
        "mounts": [{"destination": "/cfg", "type": "bind", "source": "/srv", "options": ["rbind", "ro"]}],
        "linux": {
            "maskedPaths": ["/proc/kcore"],
            "namespaces": [
                {"type": "pid"},
                {"type": "ipc", "path": "/var/run/ipcns/1"},
                {"type": network, "path": "/var/run/netns/1"},
            ],
        },
    })
    .to_string()
}

const SANDBOX: &str = "639b2fdee143661333c769f9b74984cf46b096fde139fa9ad5094ea077807028";
const LABELS: &str = r#"{"io.kubernetes.container.name":"app","io.kubernetes.pod.name":"web-0","io.kubernetes.pod.namespace":"shop","io.kubernetes.pod.uid":"u-1","tier":"front"}"#;
const POD_LABELS: &str = r#"{"app":"web","io.kubernetes.container.name":"POD","io.kubernetes.pod.name":"web-0","io.kubernetes.pod.namespace":"shop","io.kubernetes.pod.uid":"u-1"}"#;

const CONTAINER_NOTES: [(&str, &str); 5] = [
    ("io.kubernetes.cri-o.ContainerType", "container"),
    ("io.kubernetes.cri-o.ImageName", "reg.example.com:5000/team/app:v2"),
    ("io.kubernetes.cri-o.ImageRef", "3efb"),
    ("io.kubernetes.cri-o.Labels", LABELS),
    ("io.kubernetes.cri-o.Metadata", r#"{"name":"app"}"#),
];

/// A pod of CRI-O with one container, as it lies in the storage.
fn crio_on_disk(root: &Path, network: &str) {
    let at = |place: &str, id: &str| {
        format!("{place}/containers/storage/overlay-containers/{id}/userdata/config.json")
    };
    write(root, &at("run", ID), &bundle_of_crio(&CONTAINER_NOTES, network));
    let sandbox = [
        ("io.kubernetes.cri-o.ContainerType", "sandbox"),
        ("io.kubernetes.cri-o.ImageName", "liar:3"),
        ("io.kubernetes.cri-o.Labels", POD_LABELS),
        ("io.kubernetes.cri-o.Metadata", r#"{"name":"liar","uid":"liar","namespace":"liar"}"#),
    ];
    write(root, &at("run", SANDBOX), &bundle_of_crio(&sandbox, network));
    let list = serde_json::json!([
        {"id": SANDBOX, "names": ["k8s_POD_web-0_shop_u-1_0"], "image": "77aa", "metadata": serde_json::json!({
            "pod-id": SANDBOX, "image-name": "reg.example.com/pause:3", "image-id": "77aa",
            "metadata-name": "web-0", "uid": "u-1", "namespace": "shop", "pod": true,
        }).to_string()},
        // By its id, as Kubernetes' node agent asks for an image.
        {"id": ID, "names": ["k8s_app_web-0_shop_u-1_0"], "image": "3efb", "metadata": serde_json::json!({
            "pod-id": SANDBOX, "image-name": "3efb", "image-id": "3efb", "metadata-name": "app",
        }).to_string()},
    ]);
    let storage = "var/lib/containers/storage";
    let lists = format!("{storage}/overlay-containers/volatile-containers.json");
    write(root, &lists, &list.to_string());
    let images = r#"[{"id":"77aa","digest":"sha256:pause"},{"id":"3efb","digest":"sha256:abc"}]"#;
    write(root, &format!("{storage}/overlay-images/images.json"), images);
}

#[test]
fn crios_containers_come_from_its_storage_and_not_from_what_a_pod_says() {
    let root = tempfile::tempdir().unwrap();
    crio_on_disk(root.path(), "network");
    let found = look(root.path(), &claim(Engine::Crio, ID)).unwrap();
    assert_eq!((found.name.as_str(), found.kind), ("app", "cri-o"));
    assert_eq!((found.repository(), found.tag()), ("reg.example.com:5000/team/app", "v2"));
    assert_eq!((found.image_id.as_str(), found.image_digest.as_str()), ("3efb", "sha256:abc"));
    assert_eq!(found.labels["tier"], "front");
    assert_eq!(found.privileged, Some(false));
    assert_eq!(
        (found.host_pid, found.host_network, found.host_ipc),
        (Some(false), Some(false), Some(false))
    );
    assert_eq!((found.mounts.len(), found.ip.as_str()), (1, "10.9.9.9"));
    let pod = found.pod.as_ref().unwrap();
    assert_eq!(
        (pod.name.as_str(), pod.namespace.as_str(), pod.uid.as_str()),
        ("web-0", "shop", "u-1")
    );
    assert_eq!((pod.sandbox_id.as_str(), pod.labels["app"].as_str()), (SANDBOX, "web"));
    // Under a control group that does not say whose it is.
    assert_eq!(look(root.path(), &claim(Engine::Any, ID)).unwrap().kind, "cri-o");
}

#[test]
fn a_pod_on_the_hosts_network_has_no_address_that_it_could_write_down() {
    let root = tempfile::tempdir().unwrap();
    crio_on_disk(root.path(), "uts");
    let found = look(root.path(), &claim(Engine::Crio, ID)).unwrap();
    assert_eq!((found.host_network, found.ip.as_str()), (Some(true), ""));
    assert_eq!(found.pod.as_ref().unwrap().ip, "");
}

#[test]
fn what_holds_a_pods_namespaces_is_known_by_the_list_that_no_pod_writes() {
    let root = tempfile::tempdir().unwrap();
    crio_on_disk(root.path(), "network");
    let found = look(root.path(), &claim(Engine::Crio, SANDBOX)).unwrap();
    assert_eq!((found.name.as_str(), found.image.as_str()), ("POD", "reg.example.com/pause:3"));
    assert_eq!(found.image_digest, "sha256:pause");
    let pod = found.pod.as_ref().unwrap();
    assert_eq!(
        (pod.name.as_str(), pod.namespace.as_str(), pod.uid.as_str()),
        ("web-0", "shop", "u-1")
    );
    assert_eq!((pod.sandbox_id.as_str(), pod.labels["app"].as_str()), (SANDBOX, "web"));
}

#[test]
fn a_namespace_that_is_the_hosts_by_its_path_is_shared_with_it() {
    let joined = r#"{"linux":{"namespaces":[{"type":"network","path":"/proc/9/ns/net"},
        {"type":"ipc","path":"/proc/9/ns/ipc"},{"type":"pid"}]}}"#;
    // Whoever is the host: its first process, or the kernel's where that is hidden.
    for (pid, name) in [("1", "init"), ("2", "kthreadd")] {
        let root = tempfile::tempdir().unwrap();
        let path = format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json");
        write(root.path(), &path, joined);
        write(root.path(), &format!("proc/{pid}/comm"), &format!("{name}\n"));
        for (pid, kind, number) in
            [(pid, "net", 5), (pid, "ipc", 6), ("9", "net", 5), ("9", "ipc", 7)]
        {
            let folder = root.path().join(format!("proc/{pid}/ns"));
            fs::create_dir_all(&folder).unwrap();
            std::os::unix::fs::symlink(format!("{kind}:[{number}]"), folder.join(kind)).unwrap();
        }
        let found = look(root.path(), &claim(Engine::Containerd, ID)).unwrap();
        assert_eq!(
            (found.host_network, found.host_ipc, found.host_pid),
            (Some(true), Some(false), Some(false)),
            "{pid}"
        );
        if pid == "2" {
            write(root.path(), "proc/2/comm", "somebody\n");
            let found = look(root.path(), &claim(Engine::Containerd, ID)).unwrap();
            assert_eq!(found.host_network, Some(false), "it is not the kernel's");
        }
    }
}

/// A runtime of Kubernetes that answers one call with each of these messages, and an error with none.
fn kubernetes(root: &Path, answers: Vec<Option<Message>>) -> thread::JoinHandle<Vec<String>> {
    use crate::cri::{DATA, END_STREAM, HEADERS, SETTINGS, frame};
    fs::create_dir_all(root.join("run/containerd")).unwrap();
    let listener = UnixListener::bind(root.join("run/containerd/containerd.sock")).unwrap();
    thread::spawn(move || {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut words = Vec::new();
            // The request ends with its only frame of data, which ends the stream.
            let whole = |words: &[u8]| {
                words.windows(9).any(|head| {
                    head[3] == DATA && head[4] == END_STREAM && head[5..] == [0, 0, 0, 1]
                }) && words.len() > 150
            };
            while !whole(&words) {
                let mut piece = [0; 4096];
                let count = stream.read(&mut piece).unwrap();
                assert!(count > 0, "the request is cut");
                words.extend_from_slice(&piece[..count]);
            }
            asked.push(String::from_utf8_lossy(&words).into_owned());
            let mut said = frame(SETTINGS, 0, 0, &[]);
            if let Some(answer) = answer {
                let body = answer.encode();
                let message = [&[0][..], &(body.len() as u32).to_be_bytes(), &body].concat();
                let (first, second) = message.split_at(message.len() / 2);
                said.extend(frame(HEADERS, 4, 1, &[0x88]));
                // Some of it padded, as a server may.
                said.extend(frame(DATA, 8, 1, &[&[3], first, &[0; 3]].concat()));
                said.extend(frame(DATA, 0, 1, second));
            }
            said.extend(frame(HEADERS, 4 | END_STREAM, 1, &[0x88]));
            stream.write_all(&said).unwrap();
            // Until the other end has had enough.
            let _ = stream.read(&mut [0; 64]);
        }
        asked
    })
}

#[test]
fn labels_and_addresses_of_pods_come_from_kubernetes_runtimes() {
    let root = tempfile::tempdir().unwrap();
    let bundle = format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json");
    write(root.path(), &bundle, SPEC);
    let pair = |key: &str, value: &str| Message::new().text(1, key).text(2, value);
    let container = Message::new()
        .text(1, ID)
        .with(2, &Message::new().text(1, "app"))
        .text(9, "reg.example.com/team/app@sha256:abc")
        .with(12, &pair("tier", "front"));
    let sandbox = Message::new()
        .text(1, "5a5a")
        .with(5, &Message::new().text(1, "10.1.2.3"))
        .with(7, &pair("app", "web"))
        .with(7, &pair("team", "blue"));
    let answers = [container, sandbox].map(|status| Some(Message::new().with(1, &status)));
    let asked = kubernetes(root.path(), answers.to_vec());
    let found = look(root.path(), &claim(Engine::Containerd, ID)).unwrap();
    assert_eq!(found.labels["tier"], "front");
    assert_eq!((found.image_digest.as_str(), found.ip.as_str()), ("sha256:abc", "10.1.2.3"));
    let pod = found.pod.as_ref().unwrap();
    assert_eq!((pod.name.as_str(), pod.ip.as_str()), ("app-1", "10.1.2.3"));
    assert_eq!((pod.labels["app"].as_str(), pod.labels["team"].as_str()), ("web", "blue"));
    let asked = asked.join().unwrap();
    assert!(asked[0].starts_with("PRI * HTTP/2.0") && asked[0].contains("/ContainerStatus"));
    assert!(asked[1].contains("/PodSandboxStatus") && asked[1].contains("5a5a"));
}

#[test]
fn where_kubernetes_runtimes_do_not_answer_the_files_are_what_is_known() {
    let root = tempfile::tempdir().unwrap();
    let bundle = format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json");
    write(root.path(), &bundle, SPEC);
    // Not found, in gRPC: no message.
    let asked = kubernetes(root.path(), vec![None]);
    let found = look(root.path(), &claim(Engine::Containerd, ID)).unwrap();
    assert_eq!(found.pod.as_ref().unwrap().name, "app-1");
    asked.join().unwrap();
    // One that hangs is asked once and then left alone.
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &bundle, SPEC);
    let socket = root.path().join("run/containerd/containerd.sock");
    let hangs = UnixListener::bind(&socket).unwrap();
    for _ in 0..3 {
        assert!(look(root.path(), &claim(Engine::Containerd, ID)).is_some());
    }
    hangs.set_nonblocking(true).unwrap();
    assert_eq!(hangs.incoming().map_while(Result::ok).count(), 1);
}

fn pair(key: &str, value: &str) -> Message {
    Message::new().text(1, key).text(2, value)
}

/// `ContainerStatus` and `PodSandboxStatus` of the interface, as CRI-O answers when it is asked at length.
fn crio_answers() -> [Message; 2] {
    let spec = bundle_of_crio(&CONTAINER_NOTES, "network");
    let info =
        format!(r#"{{"sandboxID":"{SANDBOX}","pid":7,"runtimeSpec":{spec},"privileged":false}}"#);
    let container = Message::new()
        .text(1, ID)
        .with(2, &Message::new().text(1, "app"))
        .with(8, &Message::new().text(1, "reg.example.com:5000/team/app:v2"))
        .text(9, "reg.example.com:5000/team/app@sha256:abc")
        .with(12, &pair("tier", "front"))
        .text(17, "3efb");
    let sandbox = Message::new()
        .text(1, SANDBOX)
        .with(2, &Message::new().text(1, "web-0").text(2, "u-1").text(3, "shop"))
        .with(5, &Message::new().text(1, "10.1.2.3"))
        .with(7, &pair("app", "web"));
    [
        Message::new().with(1, &container).with(2, &pair("info", &info)),
        Message::new().with(1, &sandbox).with(2, &pair("info", r#"{"pid":6}"#)),
    ]
}

#[test]
fn a_socket_alone_says_all_that_files_say() {
    let root = tempfile::tempdir().unwrap();
    let asked = kubernetes(root.path(), crio_answers().map(Some).to_vec());
    let found = look(root.path(), &claim(Engine::Crio, ID)).unwrap();
    assert_eq!((found.name.as_str(), found.kind, found.privileged), ("app", "cri-o", Some(false)));
    assert_eq!((found.repository(), found.tag()), ("reg.example.com:5000/team/app", "v2"));
    assert_eq!((found.image_id.as_str(), found.image_digest.as_str()), ("3efb", "sha256:abc"));
    assert_eq!((found.mounts.len(), found.host_network), (1, Some(false)));
    assert_eq!(found.labels["tier"], "front");
    let pod = found.pod.as_ref().unwrap();
    assert_eq!(
        (pod.name.as_str(), pod.namespace.as_str(), pod.uid.as_str()),
        ("web-0", "shop", "u-1")
    );
    assert_eq!((pod.sandbox_id.as_str(), pod.ip.as_str()), (SANDBOX, "10.1.2.3"));
    assert_eq!(pod.labels["app"], "web");
    asked.join().unwrap();
}

#[test]
fn a_socket_knows_what_holds_a_pods_namespaces_as_the_pod() {
    let root = tempfile::tempdir().unwrap();
    let [_, sandbox] = crio_answers();
    let asked = kubernetes(root.path(), vec![None, Some(sandbox)]);
    let found = look(root.path(), &claim(Engine::Crio, SANDBOX)).unwrap();
    assert_eq!((found.name.as_str(), found.kind), ("POD", "cri-o"));
    let pod = found.pod.as_ref().unwrap();
    assert_eq!(
        (pod.name.as_str(), pod.uid.as_str(), pod.sandbox_id.as_str()),
        ("web-0", "u-1", SANDBOX)
    );
    let asked = asked.join().unwrap();
    assert!(asked[1].contains("/PodSandboxStatus"));
}

#[test]
fn an_image_without_a_name_is_not_called_by_its_id() {
    for id in ["sha256:3efb", "3efb"] {
        let root = tempfile::tempdir().unwrap();
        let status = Message::new().text(1, ID).with(8, &Message::new().text(1, id)).text(9, id);
        let asked = kubernetes(root.path(), vec![Some(Message::new().with(1, &status))]);
        let found = look(root.path(), &claim(Engine::Containerd, ID)).unwrap();
        assert_eq!((found.image.as_str(), found.image_id.as_str()), ("", "3efb"));
        asked.join().unwrap();
    }
}
