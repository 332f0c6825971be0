//! One row for each way in which a distribution names its drivers.

use super::*;

struct Row {
    /// Lines of `os-release`.
    os: &'static str,
    minikube: Option<&'static str>,
    file: Option<&'static str>,
    release: &'static str,
    version: &'static str,
    /// Target, fixed release and fixed version.
    expected: (&'static str, &'static str, &'static str),
}

const SMP: &str = "#1 SMP PREEMPT_DYNAMIC Tue, 10 Oct 2023 21:10:21 +0000";

fn of(row: &Row) -> Result<Target, Lacking> {
    let facts = Facts {
        os_release: (!row.os.is_empty()).then(|| OsRelease::parse(row.os)),
        minikube: row.minikube.map(str::to_owned),
        release_file: row.file,
    };
    Target::of(&facts, &kernel(row.release, row.version))
}

fn kernel(release: &str, version: &str) -> Kernel {
    Kernel {
        release: release.to_owned(),
        version: version.to_owned(),
        architecture: "x86_64".to_owned(),
    }
}

const fn plain(
    os: &'static str,
    release: &'static str,
    version: &'static str,
    expected: (&'static str, &'static str, &'static str),
) -> Row {
    Row { os, minikube: None, file: None, release, version, expected }
}

const ROWS: &[Row] = &[
    plain(
        "ID=amzn\nVERSION_ID=2",
        "4.14.326-245.amzn2.x86_64",
        SMP,
        ("amazonlinux2", "4.14.326-245.amzn2.x86_64", "1"),
    ),
    plain(
        "ID=amzn\nVERSION_ID=2022",
        "5.15.0-1.amzn2022",
        SMP,
        ("amazonlinux2022", "5.15.0-1.amzn2022", "1"),
    ),
    plain(
        "ID=\"amzn\"\nVERSION_ID=\"2023\"",
        "6.1.55-75.amzn2023",
        SMP,
        ("amazonlinux2023", "6.1.55-75.amzn2023", "1"),
    ),
    plain(
        "ID=amzn\nVERSION_ID=2018.03",
        "4.14.0-1.amzn1",
        SMP,
        ("amazonlinux", "4.14.0-1.amzn1", "1"),
    ),
    plain(
        "ID=bottlerocket\nVERSION_ID=1.11.0\nVARIANT_ID=aws-k8s-1.15",
        "5.10.165",
        SMP,
        ("bottlerocket", "5.10.165", "1_1.11.0-aws"),
    ),
    plain(
        "ID=bottlerocket\nVERSION_ID=1.11.0\nVARIANT_ID=metal",
        "5.10.165",
        SMP,
        ("bottlerocket", "5.10.165", "1_1.11.0-metal"),
    ),
    plain(
        "ID=centos\nVERSION_ID=8",
        "4.18.0-348.el8.x86_64",
        "#3 SMP x",
        ("centos", "4.18.0-348.el8.x86_64", "3"),
    ),
    plain("ID=cos\nBUILD_ID=17800", "5.15.109+", SMP, ("cos", "5.15.109+", "1")),
    plain(
        "ID=debian",
        "6.1.0-10-cloud-amd64",
        "#1 SMP PREEMPT_DYNAMIC Debian 6.1.38-2 (2023-07-27)",
        ("debian", "6.1.38-2-cloud-amd64", "1"),
    ),
    plain(
        "ID=debian",
        "5.10.0-0.deb10.22-rt-amd64",
        "5.10.178-3",
        ("debian", "5.10.178-3-rt-amd64", "1"),
    ),
    plain(
        "ID=debian",
        "6.1.0-10-arm64",
        "#1 SMP Debian 6.1.38-2+deb12u1 (2023-07-27)",
        ("debian", "6.1.38-2-arm64", "1"),
    ),
    plain("ID=debian", "6.1.0-custom", "#12 SMP by hand", ("debian", "6.1.0-custom", "12")),
    plain("ID=debian", "6.1.0-custom", "#1 SMP Debian 6.1.38-2", ("debian", "6.1.38-2", "1")),
    plain("ID=flatcar\nVERSION_ID=3510.2.8", "5.15.129-flatcar", SMP, ("flatcar", "3510.2.8", "1")),
    plain("ID=ol", "5.14.0-362.el9.x86_64", "#2 SMP", ("ol", "5.14.0-362.el9.x86_64", "2")),
    plain("ID=rhel", "5.14.0-284.el9.x86_64", SMP, ("rhel", "5.14.0-284.el9.x86_64", "1")),
    plain("ID=talos\nVERSION_ID=1.4.1", "6.1.27-talos", SMP, ("talos", "6.1.27-talos", "1_1.4.1")),
    plain(
        "ID=ubuntu",
        "5.15.0-1009-aws",
        "#26~22.04.1-Ubuntu SMP Mon Apr 24 01:58:15 UTC 2023",
        ("ubuntu-aws", "5.15.0-1009-aws", "26~22.04.1"),
    ),
    plain(
        "ID=ubuntu",
        "5.0.0-1028-aws-5.0",
        "#30-Ubuntu SMP",
        ("ubuntu-aws", "5.0.0-1028-aws-5.0", "30"),
    ),
    plain("ID=ubuntu", "6.5.0-25-generic", SMP, ("ubuntu-generic", "6.5.0-25-generic", "1")),
    plain("ID=ubuntu", "6.5.0-25", "77", ("ubuntu-generic", "6.5.0-25", "77")),
    plain("ID=Arch", "6.6.1-arch1-1", SMP, ("arch", "6.6.1-arch1-1", "1")),
    plain("ID=photon", "6.1.10-1.ph5", "#1-photon", ("photon", "6.1.10-1.ph5", "1")),
    Row {
        minikube: Some("1.26.0"),
        ..plain("ID=buildroot", "5.10.57", SMP, ("minikube", "5.10.57", "1_1.26.0"))
    },
    Row {
        minikube: Some("1.26.0"),
        ..plain("", "5.10.57", SMP, ("minikube", "5.10.57", "1_1.26.0"))
    },
    Row {
        file: Some("debian"),
        ..plain("", "6.1.0-10-amd64", "Debian 6.1.38-2", ("debian", "6.1.38-2-amd64", "1"))
    },
    Row {
        file: Some("centos"),
        ..plain("NAME=x", "3.10.0-1160.el7", SMP, ("centos", "3.10.0-1160.el7", "1"))
    },
    Row {
        file: Some("rhel"),
        ..plain("", "3.10.0-1160.el7", SMP, ("rhel", "3.10.0-1160.el7", "1"))
    },
    plain("", "6.6.0", SMP, (UNDETERMINED, "6.6.0", "1")),
    plain("", "6.6.0", "no number", (UNDETERMINED, "6.6.0", "no number")),
];

#[test]
fn each_distribution_has_its_names() {
    for row in ROWS {
        let found = of(row).unwrap_or_else(|lacking| unreachable!("{}: {lacking:?}", row.os));
        let Kernel { release, version, .. } = &found.kernel;
        assert_eq!(
            (found.id.as_str(), release.as_str(), version.as_str()),
            row.expected,
            "{:?} {}",
            row.os,
            row.release
        );
        assert_eq!(found.is_undetermined(), row.expected.0 == UNDETERMINED);
    }
}

#[test]
fn each_row_of_the_table_is_tested() {
    for distro in &TABLE {
        let tested = ROWS.iter().any(|row| {
            of(row).is_ok_and(|target| {
                target.id == distro.id
                    || row.os.to_lowercase().contains(&format!("id={}", distro.id))
                    || row.os.contains(&format!("ID=\"{}\"", distro.id))
            })
        });
        assert!(tested, "{}", distro.id);
    }
}

#[test]
fn a_description_that_says_too_little_is_an_error() {
    for (os, key) in [
        ("ID=amzn", "VERSION_ID"),
        ("ID=bottlerocket", "VERSION_ID"),
        ("ID=bottlerocket\nVERSION_ID=1.11.0", "VARIANT_ID"),
        ("ID=flatcar", "VERSION_ID"),
        ("ID=talos\nVERSION_ID=\"\"", "VERSION_ID"),
    ] {
        let lacking = of(&plain(os, "5.10.0", SMP, ("", "", ""))).expect_err(os);
        assert_eq!(lacking.key, key, "{os}");
        assert!(os.contains(&lacking.distribution));
    }
}

#[test]
fn some_take_no_modules() {
    for (os, release, taken) in [
        ("ID=cos", "5.15.109+", false),
        ("ID=ol", "5.15.0-101.el9uek.x86_64", false),
        ("ID=ol", "5.14.0-362.el9.x86_64", true),
        ("ID=debian", "6.1.0-10-amd64", true),
        ("ID=debian", "2.4.0-1-amd64", false),
    ] {
        let target = of(&plain(os, release, SMP, ("", "", ""))).expect(os);
        assert_eq!(target.module_problem.is_none(), taken, "{os} {:?}", target.module_problem);
    }
}

#[test]
fn nothing_in_a_version_makes_it_panic() {
    for text in ["", "#", "##", "-", "1-", "-1", "1.2-3", "..-1", "1.2.3-", "é-1.2.3-4é", "#é1"]
    {
        let found = of(&plain("ID=debian", text, text, ("", "", "")));
        assert!(found.is_ok(), "{text}");
        assert!(of(&plain("ID=ubuntu", text, text, ("", "", ""))).is_ok(), "{text}");
    }
    assert_eq!(package_version("x1.5.10.178-3y"), Some("5.10.178-3".to_owned()));
    assert_eq!(package_version("2023-07-27"), None);
}
