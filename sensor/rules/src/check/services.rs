//! Well-known service names for ports, as registered with IANA.
//!
//! A table of our own rather than the host's: a rule must mean the same wherever it is checked.

/// Names in byte order, for binary search.
const SERVICES: &[(&str, u16)] = &[
    ("amqp", 5672),
    ("amqps", 5671),
    ("auth", 113),
    ("bacula-dir", 9101),
    ("bacula-fd", 9102),
    ("bacula-sd", 9103),
    ("bgp", 179),
    ("biff", 512),
    ("bootpc", 68),
    ("bootps", 67),
    ("cfengine", 5308),
    ("chargen", 19),
    ("cisco-sccp", 2000),
    ("cmip-man", 163),
    ("daytime", 13),
    ("discard", 9),
    ("distcc", 3632),
    ("domain", 53),
    ("domain-s", 853),
    ("echo", 7),
    ("epmap", 135),
    ("epmd", 4369),
    ("exec", 512),
    ("finger", 79),
    ("ftp", 21),
    ("ftp-data", 20),
    ("ftps", 990),
    ("ftps-data", 989),
    ("git", 9418),
    ("gnutella-svc", 6346),
    ("gopher", 70),
    ("gpsd", 2947),
    ("http", 80),
    ("http-alt", 8080),
    ("https", 443),
    ("iax", 4569),
    ("imap", 143),
    ("imap2", 143),
    ("imaps", 993),
    ("isakmp", 500),
    ("iscsi-target", 3260),
    ("iso-tsap", 102),
    ("kerberos", 88),
    ("kerberos-adm", 749),
    ("klogin", 543),
    ("kpasswd", 464),
    ("kshell", 544),
    ("l2f", 1701),
    ("ldap", 389),
    ("ldaps", 636),
    ("ldp", 646),
    ("login", 513),
    ("mail", 25),
    ("mdns", 5353),
    ("memcache", 11211),
    ("microsoft-ds", 445),
    ("mqtt", 1883),
    ("ms-sql-m", 1434),
    ("ms-sql-s", 1433),
    ("ms-wbt-server", 3389),
    ("munin", 4949),
    ("mysql", 3306),
    ("nameserver", 53),
    ("nbd", 10809),
    ("netbios-dgm", 138),
    ("netbios-ns", 137),
    ("netbios-ssn", 139),
    ("nfs", 2049),
    ("nntp", 119),
    ("nntps", 563),
    ("ntalk", 518),
    ("ntp", 123),
    ("openvpn", 1194),
    ("pop-3", 110),
    ("pop3", 110),
    ("pop3s", 995),
    ("postgresql", 5432),
    ("printer", 515),
    ("proofd", 1093),
    ("puppet", 8140),
    ("radius", 1812),
    ("radius-acct", 1813),
    ("redis", 6379),
    ("route", 520),
    ("rsync", 873),
    ("secure-mqtt", 8883),
    ("shell", 514),
    ("silc", 706),
    ("sip", 5060),
    ("sip-tls", 5061),
    ("smtp", 25),
    ("snmp", 161),
    ("snmp-trap", 162),
    ("socks", 1080),
    ("ssh", 22),
    ("submission", 587),
    ("submissions", 465),
    ("sunrpc", 111),
    ("svn", 3690),
    ("syslog", 514),
    ("syslog-tls", 6514),
    ("tacacs", 49),
    ("talk", 517),
    ("telnet", 23),
    ("telnets", 992),
    ("tftp", 69),
    ("time", 37),
    ("tinc", 655),
    ("uucp", 540),
    ("webmin", 10000),
    ("who", 513),
    ("whois", 43),
    ("www", 80),
    ("x11", 6000),
    ("x11-1", 6001),
    ("xmpp-client", 5222),
    ("xmpp-server", 5269),
    ("zabbix-agent", 10050),
    ("zabbix-trapper", 10051),
];

/// The port of a service.
pub(super) fn port(name: &str) -> Option<u16> {
    let at = SERVICES.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    Some(SERVICES[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_without_duplicates() {
        assert!(SERVICES.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn names_are_exact() {
        assert_eq!(port("https"), Some(443));
        assert_eq!(port("HTTPS"), None);
        assert_eq!(port("http"), Some(80));
    }
}
