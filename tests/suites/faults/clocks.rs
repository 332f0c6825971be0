//! Clocks that jump: every time that is written anywhere lies in the future, or decades back.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use eyas_tests::registry::FileServer;
use eyas_tests::{Registry, run};

use crate::host::{Host, publish};

/// Years that a clock may have been at.
const YEARS: [i32; 3] = [1970, 1999, 2099];

/// Moves every time in the state, and of its files, to a year.
fn move_to(host: &Host, year: i32) {
    let days = u64::try_from((year - 1970) * 365).expect("after 1970");
    let time = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * days);
    for folder in host.folders() {
        visit(&folder, &mut |path| {
            let written = path.extension().is_some_and(|extension| extension == "json")
                && path.file_name().is_some_and(|name| name != "index.json");
            if written && let Ok(text) = fs::read_to_string(path) {
                fs::write(path, with_year(&text, year)).expect("written");
            }
            let file = fs::File::open(path).expect("a file");
            file.set_modified(time).expect("the time of a file");
        });
    }
}

fn visit(path: &Path, act: &mut impl FnMut(&Path)) {
    if path.is_symlink() {
        return;
    }
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a directory").flatten() {
            visit(&entry.path(), act);
        }
    } else {
        act(path);
    }
}

/// Every time with another year, but for those that a signer has said.
fn with_year(text: &str, year: i32) -> String {
    let parts: Vec<&str> = text.split('"').collect();
    let moved = parts.iter().enumerate().map(|(number, part)| {
        let is_time = part.len() > 19 && part.as_bytes()[4] == b'-' && part.as_bytes()[10] == b'T';
        let signed = number > 1 && parts[number - 2] == "signed_at";
        match part.get(4..).filter(|_| is_time && !signed) {
            Some(rest) => format!("{year}{rest}"),
            None => (*part).to_owned(),
        }
    });
    moved.collect::<Vec<_>>().join("\"")
}

#[test]
fn a_store_written_under_another_clock_works_on() {
    let registry = Registry::embedded();
    let publisher = publish(&registry);
    for year in YEARS {
        let host = Host::new(&registry, &publisher, true);
        run(&mut host.install("1.0.0")).expect_code(0);
        run(&mut host.follow("1.0.0")).expect_code(0);
        let old = host.seen();
        move_to(&host, year);
        let asked = |words: &[&str]| {
            let finished = host.site.run(words);
            finished.expect_code(0);
            assert!(!finished.stderr.contains("panicked"), "{year}: {}", finished.stderr);
            finished.stdout
        };
        let status = asked(&["artifact", "status", "--sensor-socket", "none.sock"]);
        assert!(status.contains(&year.to_string()), "{status}");
        asked(&["artifact", "history", "--output", "json"]);
        assert_eq!(asked(&["artifact", "repair", "--dry-run"]).lines().count(), 1, "{year}");
        // Newer is what has the higher version, whatever the clock said when the older one came.
        run(&mut host.follow("2.0.0")).expect_code(0);
        let mixed = host.seen();
        assert!(mixed != old, "{year}: the update was taken");
        move_to(&host, year);
        run(&mut host.install("2.0.0")).expect_code(0);
        let new = host.seen();
        assert!(new != mixed, "{year}: and so was the rest");
        move_to(&host, year);
        run(&mut host.rollback()).expect_code(0);
        assert_eq!(host.seen().rules, old.rules, "{year}");
        run(&mut host.gc()).expect_code(0);
        run(&mut host.install("2.0.0")).expect_code(0);
        assert_eq!(host.seen(), new, "{year}");
        assert!(host.litter().is_empty(), "{year}");
    }
}

#[test]
fn a_copy_of_an_index_from_the_future_stands_in_and_gives_way() {
    let registry = Registry::embedded();
    let site = publish(&registry);
    let (host, at) = registry
        .host()
        .split_once(':')
        .map_or_else(Default::default, |(host, port)| (host.to_owned(), port.to_owned()));
    let entry = |name: &str| {
        format!(
            "- name: {name}\n  type: rulesfile\n  registry: {host}:{at}\n  repository: faults/rules\n"
        )
    };
    for year in YEARS {
        fs::write(site.path("index.yaml"), entry("one")).expect("index");
        let web = FileServer::new(&site.path("index.yaml"));
        let settings = format!("indexes:\n- {{name: web, url: '{}'}}\n", web.address());
        fs::write(site.path("eyas.yaml"), settings).expect("configuration");
        let info = |name: &str| {
            site.run(&["artifact", "info", name, "--plain-http", "--cache-dir", "cache"])
        };
        info("one").expect_code(0);
        let days = u64::try_from((year - 1970) * 365).expect("after 1970");
        let time = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * days);
        visit(&site.path("cache"), &mut |path| {
            fs::File::open(path).expect("a copy").set_modified(time).expect("its time");
        });
        // What is served is newer than any copy, whatever the copy's time is.
        fs::write(site.path("index.yaml"), entry("two")).expect("index");
        info("two").expect_code(0);
        visit(&site.path("cache"), &mut |path| {
            fs::File::open(path).expect("a copy").set_modified(time).expect("its time");
        });
        drop(web);
        let finished = info("two");
        finished.expect_code(0).expect_stderr(&["copy kept"]);
        fs::remove_dir_all(site.path("cache")).expect("the copies");
    }
}
