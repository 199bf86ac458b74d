/* Lines of logs: every form of them, each cut at every byte; times; cleaning; the rates of sources. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lines/entry.h"
#include "lines/limit.h"
#include "lines/line.h"

#define NS_PER_S INT64_C(1000000000)
#define NOW (INT64_C(1795827600) * NS_PER_S) /* 2026-11-28T01:00:00Z */
#define BOM "\xef\xbb\xbf"

static const struct {
	const char *text;
	const char *want; /* facility.severity time host identifier[pid] msgid |message| params, "-" for none, #sequence, ! where it is malformed */
	uint32_t flags;
} lines[] = {
	/* RFC 3164, 5.4 */
	{ "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
	  "auth.2 2026-10-11T22:14:15 mymachine su[-] - |'su root' failed for lonvick on /dev/pts/8|", 0 },
	{ "Use the BFG!", "-.- - - -[-] - |Use the BFG!|", 0 },
	{ "<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!", "user.5 2026-02-05T17:32:18 10.0.0.99 -[-] - |Use the BFG!|", 0 },
	{ "<165>Aug 24 05:34:00 CST 1987 mymachine myproc[10]: %% It's time to make the do-nuts.  %%",
	  "local4.5 2026-08-24T05:34:00 CST -[-] - |1987 mymachine myproc[10]: %% It's time to make the do-nuts.  %%|", 0 },
	{ "<0>1990 Oct 22 10:52:01 TZ-6 scapegoat.dmz.example.org 10.1.2.3 sched[0]: That's All Folks!",
	  "kern.0 - - -[-] - |1990 Oct 22 10:52:01 TZ-6 scapegoat.dmz.example.org 10.1.2.3 sched[0]: That's All Folks!|", 0 },
	{ "<00>it has no priority", "-.- - - -[-] - |<00>it has no priority| !", 0 },
	/* priorities */
	{ "<0>x", "kern.0 - - -[-] - |x|", 0 },
	{ "<191>x", "local7.7 - - -[-] - |x|", 0 },
	{ "<192>x", "-.- - - -[-] - |<192>x| !", 0 },
	{ "<999>x", "-.- - - -[-] - |<999>x| !", 0 },
	{ "<013>x", "-.- - - -[-] - |<013>x| !", 0 },
	{ "<1234>x", "-.- - - -[-] - |<1234>x| !", 0 },
	{ "<>x", "-.- - - -[-] - |<>x|", 0 },
	{ "<a>x", "-.- - - -[-] - |<a>x|", 0 },
	{ "<13", "-.- - - -[-] - |<13| !", 0 },
	{ "<13 x", "-.- - - -[-] - |<13 x| !", 0 },
	{ "<", "-.- - - -[-] - |<|", 0 },
	{ "<-1>x", "-.- - - -[-] - |<-1>x|", 0 },
	{ "<13>", "user.5 - - -[-] - ||", 0 },
	{ "", "-.- - - -[-] - ||", 0 },
	{ "<8>x", "user.0 - - -[-] - |x|", 0 },
	{ "<86>x", "authpriv.6 - - -[-] - |x|", 0 },
	{ "<100>x", "ntp.4 - - -[-] - |x|", 0 },
	{ "<128>x", "local0.0 - - -[-] - |x|", 0 },
	/* what the C library writes locally: no host */
	{ "<30>Nov 28 00:59:58 cron[123]: (root) CMD (run)", "daemon.6 2026-11-28T00:59:58 - cron[123] - |(root) CMD (run)|", LINE_LOCAL },
	{ "<13>Nov 28 00:59:58 root: hello", "user.5 2026-11-28T00:59:58 - root[-] - |hello|", LINE_LOCAL },
	{ "<13>Nov  8 00:59:58 my tag: hello: there", "user.5 2026-11-08T00:59:58 - my tag[-] - |hello: there|", LINE_LOCAL },
	{ "<13>Nov 28 00:59:58 my tag[7]: hello", "user.5 2026-11-28T00:59:58 - my tag[7] - |hello|", LINE_LOCAL },
	{ "<13>Nov 28 00:59:58 hello there", "user.5 2026-11-28T00:59:58 - -[-] - |hello there|", LINE_LOCAL },
	{ "<13>root: hello", "user.5 - - root[-] - |hello|", LINE_LOCAL },
	{ "<6>kernel: x", "kern.6 - - kernel[-] - |x|", LINE_LOCAL },
	{ "<13>Nov 28 00:59:58 a:\n", "user.5 2026-11-28T00:59:58 - a[-] - ||", LINE_LOCAL },
	{ "<13>Nov 28 00:59:58 a: x\n", "user.5 2026-11-28T00:59:58 - a[-] - |x|", LINE_LOCAL },
	{ "<13>Nov 28 00:59:58 (sd-pam)[12]: x", "user.5 2026-11-28T00:59:58 - (sd-pam)[12] - |x|", LINE_LOCAL },
	/* with a host */
	{ "<13>Nov 28 00:59:58 web1 nginx: x", "user.5 2026-11-28T00:59:58 web1 nginx[-] - |x|", 0 },
	{ "<13>Nov 28 00:59:58 web1.example.org nginx[1]: x", "user.5 2026-11-28T00:59:58 web1.example.org nginx[1] - |x|", 0 },
	{ "<13>Nov 28 00:59:58 2001:db8::1 nginx[1]: x", "user.5 2026-11-28T00:59:58 2001:db8::1 nginx[1] - |x|", 0 },
	{ "<22>Nov 28 00:59:58 mx postfix/smtpd[4711]: connect from x", "mail.6 2026-11-28T00:59:58 mx postfix/smtpd[4711] - |connect from x|", 0 },
	{ "<13>Nov 28 00:59:58 web1 nginx[1] x", "user.5 2026-11-28T00:59:58 web1 nginx[1] - |x|", 0 },
	{ "<13>Nov 28 00:59:58 web1 user@1000.service: x", "user.5 2026-11-28T00:59:58 web1 user@1000.service[-] - |x|", 0 },
	{ "<13>Nov 28 00:59:58 web1 nginx:x", "user.5 2026-11-28T00:59:58 web1 -[-] - |nginx:x|", 0 },
	{ "<13>Nov 28 00:59:58 web1 a[b c]: x", "user.5 2026-11-28T00:59:58 web1 -[-] - |a[b c]: x|", 0 },
	{ "<13>Nov 28 00:59:58 web1 a[]: x", "user.5 2026-11-28T00:59:58 web1 a[-] - |x|", 0 },
	{ "<13>Nov 28 00:59:58 web1 a[abc-1]: x", "user.5 2026-11-28T00:59:58 web1 a[abc-1] - |x|", 0 },
	{ "<13>Nov 28 00:59:58 web1 the message", "user.5 2026-11-28T00:59:58 web1 -[-] - |the message|", 0 },
	{ "<13>Nov 28 00:59:58 web1", "user.5 2026-11-28T00:59:58 - -[-] - |web1|", 0 },
	{ "<13>Nov 28 00:59:58 web1 ", "user.5 2026-11-28T00:59:58 web1 -[-] - ||", 0 },
	{ "<13>Nov 28 00:59:58 su: x", "user.5 2026-11-28T00:59:58 - su[-] - |x|", 0 },
	{ "<13>Nov 28 00:59:58", "user.5 2026-11-28T00:59:58 - -[-] - ||", 0 },
	{ "<13> Nov 28 00:59:58 web1 su: x", "user.5 2026-11-28T00:59:58 web1 su[-] - |x|", 0 },
	{ "<13>Nov 28 00:59:58 web1 su:  two", "user.5 2026-11-28T00:59:58 web1 su[-] - | two|", 0 },
	/* without a time */
	{ "<13>su[1]: x", "user.5 - - su[1] - |x|", 0 },
	{ "<13>web1.example.org su[1]: x", "user.5 - web1.example.org su[1] - |x|", 0 },
	{ "<13>10.1.2.3 su: x", "user.5 - 10.1.2.3 su[-] - |x|", 0 },
	{ "<13>hello world: x", "user.5 - - -[-] - |hello world: x|", 0 },
	{ "<13>see example.org now", "user.5 - - -[-] - |see example.org now|", 0 },
	{ "<13>http://x/y z", "user.5 - - -[-] - |http://x/y z|", 0 },
	{ "<13>GET /x?a=1: x", "user.5 - - -[-] - |GET /x?a=1: x|", 0 },
	{ "<13>{\"a\": 1}", "user.5 - - -[-] - |{\"a\": 1}|", 0 },
	{ "<13>12:34:56 x", "user.5 - - -[-] - |12:34:56 x|", 0 },
	/* without a priority: what rsyslog writes into files */
	{ "Nov 28 00:59:58 web1 sshd[9]: Accepted publickey for x", "-.- 2026-11-28T00:59:58 web1 sshd[9] - |Accepted publickey for x|", 0 },
	{ "2026-11-28T00:59:58.123456+00:00 web1 sshd[9]: x", "-.- 2026-11-28T00:59:58.123456 web1 sshd[9] - |x|", 0 },
	{ "2026-11-28T02:59:58+02:00 web1 kernel: [    1.5] x", "-.- 2026-11-28T00:59:58 web1 kernel[-] - |[    1.5] x|", 0 },
	{ "sshd[9]: x", "-.- - - sshd[9] - |x|", 0 },
	{ "2026-11-28 00:59:58,250 INFO x", "-.- 2026-11-28T00:59:58.250 INFO -[-] - |x|", 0 },
	/* times */
	{ "<13>Nov  8 00:59:58 h t: x", "user.5 2026-11-08T00:59:58 h t[-] - |x|", 0 },
	{ "<13>Nov 8 00:59:58 h t: x", "user.5 2026-11-08T00:59:58 h t[-] - |x|", 0 },
	{ "<13>Nov 08 00:59:58 h t: x", "user.5 2026-11-08T00:59:58 h t[-] - |x|", 0 },
	{ "<13>nov 28 00:59:58 h t: x", "user.5 2026-11-28T00:59:58 h t[-] - |x|", 0 },
	{ "<13>Nov 28 2025 00:59:58 h t: x", "user.5 2025-11-28T00:59:58 h t[-] - |x|", 0 },
	{ "<13>Nov 28 00:59:58 2025 h t: x", "user.5 2025-11-28T00:59:58 h t[-] - |x|", 0 },
	{ "<13>Nov 28 00:59:58.5 h t: x", "user.5 2026-11-28T00:59:58.500 h t[-] - |x|", 0 },
	{ "<13>Nov 28 00:59:58.123456789 h t: x", "user.5 2026-11-28T00:59:58.123456789 h t[-] - |x|", 0 },
	{ "<13>Nov 28 00:59:58.1234567891 h t: x", "user.5 2026-11-28T00:59:58.123456789 h t[-] - |x|", 0 },
	{ "<187>*Mar  1 18:46:11: %SYS-5-CONFIG_I: x", "local7.3 2026-03-01T18:46:11 - %SYS-5-CONFIG_I[-] - |x|", 0 },
	{ "<187>Mar  1 18:46:11 192.0.2.1: %SYS-5-CONFIG_I: x", "local7.3 2026-03-01T18:46:11 192.0.2.1 %SYS-5-CONFIG_I[-] - |x|", 0 },
	/* hosts that are IPv6 addresses */
	{ "<13>Nov 28 00:59:58 ::1 c07: x", "user.5 2026-11-28T00:59:58 ::1 c07[-] - |x|", 0 },
	{ "<13>Nov 28 00:59:58 ::ffff:1.2.3.4 c10: x", "user.5 2026-11-28T00:59:58 ::ffff:1.2.3.4 c10[-] - |x|", 0 },
	{ "<13>Nov 28 00:59:58 fe80::1%eth0 c: x", "user.5 2026-11-28T00:59:58 fe80::1%eth0 c[-] - |x|", 0 },
	{ "<13>Nov 28 00:59:58 [::1] c: x", "user.5 2026-11-28T00:59:58 ::1 c[-] - |x|", 0 },
	{ "<13>Nov 28 00:59:58 [2001:db8::5]: c: x", "user.5 2026-11-28T00:59:58 2001:db8::5 c[-] - |x|", 0 },
	{ "<13>Nov 28 00:59:58 [1:2:3:4:5:6:7:8] the message", "user.5 2026-11-28T00:59:58 1:2:3:4:5:6:7:8 -[-] - |the message|", 0 },
	{ "<13>Nov 28 00:59:58 2001:db8::5: %SYS-5-CONFIG_I: x", "user.5 2026-11-28T00:59:58 2001:db8::5 %SYS-5-CONFIG_I[-] - |x|", 0 },
	{ "<13>[::1] c: x", "user.5 - ::1 c[-] - |x|", 0 },
	{ "<13>::1 c: x", "user.5 - ::1 c[-] - |x|", 0 },
	{ "<13>2026-11-28T00:59:58Z ::1 c: x", "user.5 2026-11-28T00:59:58 ::1 c[-] - |x|", 0 },
	{ "<13>Nov 28 00:59:58 [12:34:56] x: y", "user.5 2026-11-28T00:59:58 - -[-] - |[12:34:56] x: y|", 0 },
	{ "<13>Nov 28 00:59:58 [::1] c: x", "user.5 2026-11-28T00:59:58 - -[-] - |[::1] c: x|", LINE_LOCAL },
	{ "<13>Nov 28 00:59:58 :x y", "user.5 2026-11-28T00:59:58 - -[-] - |:x y|", 0 },
	/* Cisco's */
	{ "<189>45: *Nov 28 00:59:58.123: %SYS-5-CONFIG_I: x", "local7.5 2026-11-28T00:59:58.123 - %SYS-5-CONFIG_I[-] - |x| #45", 0 },
	{ "<189>45: .Nov 28 00:59:58.123: %SYS-5-CONFIG_I: x", "local7.5 2026-11-28T00:59:58.123 - %SYS-5-CONFIG_I[-] - |x| #45", 0 },
	{ "<189>45: Nov 28 00:59:58: %SYS-5-CONFIG_I: x", "local7.5 2026-11-28T00:59:58 - %SYS-5-CONFIG_I[-] - |x| #45", 0 },
	{ "<189>45: Nov 28 00:59:58: %SYS-5-CONFIG_I: x", "local7.5 2026-11-28T00:59:58 - %SYS-5-CONFIG_I[-] - |x| #45", LINE_LOCAL },
	{ "<189>45: host1: *Nov 28 00:59:58.123 UTC: %SYS-5-CONFIG_I: x", "local7.5 2026-11-28T00:59:58.123 host1 %SYS-5-CONFIG_I[-] - |x| #45", 0 },
	{ "<189>45: host1: 000046: *Nov 28 2026 00:59:58.123 CET: %SYS-5-CONFIG_I: x",
	  "local7.5 2026-11-28T00:59:58.123 host1 %SYS-5-CONFIG_I[-] - |x| #45", 0 },
	{ "<189>45: 000046: *Nov 28 00:59:58: %SYS-5-CONFIG_I: x", "local7.5 2026-11-28T00:59:58 - %SYS-5-CONFIG_I[-] - |x| #45", 0 },
	{ "<189>45: 2001:db8::1: Nov 28 00:59:58: %SYS-5-CONFIG_I: x", "local7.5 2026-11-28T00:59:58 2001:db8::1 %SYS-5-CONFIG_I[-] - |x| #45", 0 },
	{ "<189>host1: *Nov 28 00:59:58: %SYS-5-CONFIG_I: x", "local7.5 2026-11-28T00:59:58 host1 %SYS-5-CONFIG_I[-] - |x|", 0 },
	{ "<189>host1: 45: *Nov 28 00:59:58: %SYS-5-CONFIG_I: x", "local7.5 2026-11-28T00:59:58 host1 %SYS-5-CONFIG_I[-] - |x| #45", 0 },
	{ "<189>45: Nov 28 00:59:58 CET: OSPF: hello", "local7.5 2026-11-28T00:59:58 - OSPF[-] - |hello| #45", 0 },
	{ "<189>45: Nov 28 00:59:58: some debug text", "local7.5 2026-11-28T00:59:58 - -[-] - |some debug text| #45", 0 },
	{ "<189>45: %SYS-5-CONFIG_I: x", "local7.5 - - %SYS-5-CONFIG_I[-] - |x| #45", 0 },
	{ "<189>45: 1w2d: %SYS-5-CONFIG_I: x", "local7.5 - - %SYS-5-CONFIG_I[-] - |x| #45", 0 },
	{ "<189>45: 00:00:46: %SYS-5-CONFIG_I: x", "local7.5 - - %SYS-5-CONFIG_I[-] - |x| #45", 0 },
	{ "<189>%SYS-5-CONFIG_I: x", "local7.5 - - %SYS-5-CONFIG_I[-] - |x|", 0 },
	{ "<189>%SYS-5-CONFIG_I: %FOO-3-BAR: x", "local7.5 - - %SYS-5-CONFIG_I[-] - |%FOO-3-BAR: x|", 0 },
	{ "<13>45: hello", "user.5 - - 45[-] - |hello|", 0 },
	{ "<13>45: Nov 28 00:59:58 h t: x", "user.5 - - 45[-] - |Nov 28 00:59:58 h t: x|", 0 },
	{ "<13>app: Nov 28 00:59:58: x", "user.5 - - app[-] - |Nov 28 00:59:58: x|", 0 },
	{ "<13>app: %d-5 items", "user.5 - - app[-] - |%d-5 items|", 0 },
	{ "<187>Mar  1 18:46:11 host1: %SYS-5-CONFIG_I: x", "local7.3 2026-03-01T18:46:11 host1 %SYS-5-CONFIG_I[-] - |x|", 0 },
	{ "<166>Nov 28 2026 00:59:58 fw1 : %ASA-6-302013: x", "local4.6 2026-11-28T00:59:58 fw1 %ASA-6-302013[-] - |x|", 0 },
	{ "<166>Nov 28 2026 00:59:58 : %ASA-6-302013: x", "local4.6 2026-11-28T00:59:58 - %ASA-6-302013[-] - |x|", 0 },
	{ "<166>2026-11-28T00:59:58Z: %ASA-6-302013: x", "local4.6 2026-11-28T00:59:58 - %ASA-6-302013[-] - |x|", 0 },
	{ "<13>:Nov 28 00:59:58 UTC: %ASA-6-302013: x", "user.5 2026-11-28T00:59:58 - %ASA-6-302013[-] - |x|", 0 },
	{ "<13>:Nov 28 00:59:58 CEST: %ASA-6-302013: x", "user.5 2026-11-28T00:59:58 - %ASA-6-302013[-] - |x|", 0 },
	{ "<13>:x", "user.5 - - -[-] - |:x|", 0 },
	{ "<13>Nov 28 01:00:00 10.0.0.1 45: *Nov 28 00:59:58.123: %SYS-5-CONFIG_I: x",
	  "user.5 2026-11-28T00:59:58.123 10.0.0.1 %SYS-5-CONFIG_I[-] - |x| #45", 0 },
	{ "<13>Nov 28 01:00:00 web1 45: x", "user.5 2026-11-28T01:00:00 web1 45[-] - |x|", 0 },
	/* names of zones, and hosts that are called so */
	{ "<13>Nov 28 00:59:58 UTC host c12: tz", "user.5 2026-11-28T00:59:58 host c12[-] - |tz|", 0 },
	{ "<13>Nov 28 00:59:58 GMT 10.0.0.1 the message", "user.5 2026-11-28T00:59:58 10.0.0.1 -[-] - |the message|", 0 },
	{ "<13>Nov 28 00:59:58 UTC 10.0.0.1: %SYS-5-CONFIG_I: x", "user.5 2026-11-28T00:59:58 10.0.0.1 %SYS-5-CONFIG_I[-] - |x|", 0 },
	{ "<13>Nov 28 00:59:58 UTC fw1 : %ASA-6-302013: x", "user.5 2026-11-28T00:59:58 fw1 %ASA-6-302013[-] - |x|", 0 },
	{ "<13>Nov 28 00:59:58 UTC %ASA-6-302013: x", "user.5 2026-11-28T00:59:58 - %ASA-6-302013[-] - |x|", 0 },
	{ "<13>Nov 28 00:59:58Z host c: x", "user.5 2026-11-28T00:59:58 host c[-] - |x|", 0 },
	{ "<13>Nov 28 00:59:58 Z host c: x", "user.5 2026-11-28T00:59:58 host c[-] - |x|", 0 },
	{ "<13>Nov 28 00:59:58 CET: %SYS-5-CONFIG_I: x", "user.5 2026-11-28T00:59:58 - %SYS-5-CONFIG_I[-] - |x|", 0 },
	{ "<13>Nov 28 00:59:58 UTC: x", "user.5 2026-11-28T00:59:58 - -[-] - |x|", 0 },
	{ "<13>Nov 28 00:59:58 CRON: x", "user.5 2026-11-28T00:59:58 - CRON[-] - |x|", 0 },
	{ "<13>Nov 28 00:59:58 CET host c: x", "user.5 2026-11-28T00:59:58 CET -[-] - |host c: x|", 0 },
	{ "<13>Nov 28 00:59:58 UTC app: x", "user.5 2026-11-28T00:59:58 UTC app[-] - |x|", 0 },
	{ "<13>Nov 28 00:59:58 UTC app[1]: x", "user.5 2026-11-28T00:59:58 UTC app[1] - |x|", 0 },
	{ "<13>Nov 28 00:59:58 UTC hello there", "user.5 2026-11-28T00:59:58 UTC -[-] - |hello there|", 0 },
	{ "<13>Nov 28 00:59:58 UTC", "user.5 2026-11-28T00:59:58 - -[-] - |UTC|", 0 },
	{ "<13>Nov 28 00:59:58 UTC app: x", "user.5 2026-11-28T00:59:58 - app[-] - |x|", LINE_LOCAL },
	{ "<13>Jan  1 00:00:00 h t: x", "user.5 2026-01-01T00:00:00 h t[-] - |x|", 0 },
	{ "<13>Feb 29 00:00:00 h t: x", "user.5 - - -[-] - |Feb 29 00:00:00 h t: x|", 0 },
	{ "<13>Nov 31 00:00:00 h t: x", "user.5 - - -[-] - |Nov 31 00:00:00 h t: x|", 0 },
	{ "<13>Nov 28 24:00:00 h t: x", "user.5 - - -[-] - |Nov 28 24:00:00 h t: x|", 0 },
	{ "<13>Nov 28 23:60:00 h t: x", "user.5 - - -[-] - |Nov 28 23:60:00 h t: x|", 0 },
	{ "<13>Nov 28 3:04:05 h t: x", "user.5 - - -[-] - |Nov 28 3:04:05 h t: x|", 0 },
	{ "<13>Nov 28 03:04 h t: x", "user.5 - - -[-] - |Nov 28 03:04 h t: x|", 0 },
	{ "<13>Now 28 03:04:05 h t: x", "user.5 - - -[-] - |Now 28 03:04:05 h t: x|", 0 },
	{ "<13>2026-11-28T00:59:58Z h t: x", "user.5 2026-11-28T00:59:58 h t[-] - |x|", 0 },
	{ "<13>2026-11-28T00:59:58z h t: x", "user.5 2026-11-28T00:59:58 h t[-] - |x|", 0 },
	{ "<13>2026-11-28T00:59:58 h t: x", "user.5 2026-11-28T00:59:58 h t[-] - |x|", 0 },
	{ "<13>2026-11-28T00:59:58-0130 h t: x", "user.5 2026-11-28T02:29:58 h t[-] - |x|", 0 },
	{ "<13>2026-11-28T00:59:58+01 h t: x", "user.5 2026-11-27T23:59:58 h t[-] - |x|", 0 },
	{ "<13>2026-11-28T00:59:60Z h t: x", "user.5 2026-11-28T01:00:00 h t[-] - |x|", 0 },
	{ "<13>2026-13-28T00:59:58Z h t: x", "user.5 - - -[-] - |2026-13-28T00:59:58Z h t: x|", 0 },
	{ "<13>2026-11-28X00:59:58Z h t: x", "user.5 - - -[-] - |2026-11-28X00:59:58Z h t: x|", 0 },
	{ "<13>1969-11-28T00:59:58Z h t: x", "user.5 - - -[-] - |1969-11-28T00:59:58Z h t: x|", 0 },
	{ "<13>2024-02-29T00:00:00Z h t: x", "user.5 2024-02-29T00:00:00 h t[-] - |x|", 0 },
	{ "<13>2026-11-28T00:59:58+25:00 h t: x", "user.5 - - -[-] - |2026-11-28T00:59:58+25:00 h t: x|", 0 },
	/* RFC 5424, 6.5 */
	{ "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - " BOM "'su root' failed for lonvick on /dev/pts/8",
	  "auth.2 2003-10-11T22:14:15.003 mymachine.example.com su[-] ID47 |'su root' failed for lonvick on /dev/pts/8|", 0 },
	{ "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time to make the do-nuts.",
	  "local4.5 2003-08-24T12:14:15.000003 192.0.2.1 myproc[8710] - |%% It's time to make the do-nuts.|", 0 },
	{ "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut=\"3\" eventSource=\"Application\" eventID=\"1011\"] "
	  BOM "An application event log entry...",
	  "local4.5 2003-10-11T22:14:15.003 mymachine.example.com evntslog[-] ID47 |An application event log entry...| "
	  "examplesdid_32473_iut=3 examplesdid_32473_eventsource=Application examplesdid_32473_eventid=1011", 0 },
	{ "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 "
	  "[exampleSDID@32473 iut=\"3\" eventSource=\"Application\" eventID=\"1011\"][examplePriority@32473 class=\"high\"]",
	  "local4.5 2003-10-11T22:14:15.003 mymachine.example.com evntslog[-] ID47 || examplesdid_32473_iut=3 "
	  "examplesdid_32473_eventsource=Application examplesdid_32473_eventid=1011 examplepriority_32473_class=high", 0 },
	/* RFC 5424, its other cases */
	{ "<13>1 - - - - - -", "user.5 - - -[-] - ||", 0 },
	{ "<13>1 - - - - - - ", "user.5 - - -[-] - ||", 0 },
	{ "<13>1 - h a p m - x", "user.5 - h a[p] m |x|", 0 },
	{ "<13>1 2026-11-28T00:59:58.123456Z h a 1 m - x", "user.5 2026-11-28T00:59:58.123456 h a[1] m |x|", 0 },
	{ "<13>1 - h a p m - " BOM, "user.5 - h a[p] m ||", 0 },
	{ "<13>1 - h a p m -  x", "user.5 - h a[p] m |x|", 0 },
	{ "<13>1 - h a p m -   x", "user.5 - h a[p] m | x|", 0 },
	{ "<13>1 - h a p m -x", "user.5 - h a[p] m |-x| !", 0 },
	{ "<13>1 - h a p m [i] x", "user.5 - h a[p] m |x|", 0 },
	{ "<13>1 - h a p m [i][j] x", "user.5 - h a[p] m |x|", 0 },
	{ "<13>1 - h a p m [i k=\"\"] x", "user.5 - h a[p] m |x| i_k=", 0 },
	{ "<13>1 - h a p m [i k=\"a\\\"b\\\\c\\]d\\e\"] x", "user.5 - h a[p] m |x| i_k=a\"b\\c]d\\e", 0 },
	{ "<13>1 - h a p m [i k=\"a]b\"] x", "user.5 - h a[p] m |x| i_k=a]b", 0 },
	{ "<13>1 - h a p m [i k=\"[\"][j l=\"1\" l=\"2\"] x", "user.5 - h a[p] m |x| i_k=[ j_l=1 j_l=2", 0 },
	{ "<13>1 - h a p m [i  k=\"v\" ] x", "user.5 - h a[p] m |x| i_k=v", 0 },
	{ "<13>1 - h a p m [i k=\"v\"", "user.5 - h a[p] m |[i k=\"v\"| !", 0 },
	{ "<13>1 - h a p m [i k=\"v", "user.5 - h a[p] m |[i k=\"v| !", 0 },
	{ "<13>1 - h a p m [i k=\"v\"]x", "user.5 - h a[p] m |[i k=\"v\"]x| !", 0 },
	{ "<13>1 - h a p m [i k=v] x", "user.5 - h a[p] m |[i k=v] x| !", 0 },
	{ "<13>1 - h a p m [] x", "user.5 - h a[p] m |[] x| !", 0 },
	{ "<13>1 - h a p m [ k=\"v\"] x", "user.5 - h a[p] m |[ k=\"v\"] x| !", 0 },
	{ "<13>1 - h a p m hello there", "user.5 - h a[p] m |hello there| !", 0 },
	{ "<13>1 - h a p m", "user.5 - h a[p] m || !", 0 },
	{ "<13>1 - h a p", "user.5 - - -[-] - |1 - h a p| !", 0 },
	{ "<13>1 now h a p m - x", "user.5 - - -[-] - |1 now h a p m - x| !", 0 },
	{ "<13>2 - h a p m - x", "user.5 - - -[-] - |2 - h a p m - x|", 0 },
	{ "1 - h a p m - x", "-.- - - -[-] - |1 - h a p m - x|", 0 },
	{ "<13>1 - h a p m [timeQuality tzKnown=\"1\"] x", "user.5 - h a[p] m |x| timequality_tzknown=1", LINE_LOCAL },
	{ "<13>1 - h a p m [i k=\"\xc3\xa4\xff\"] x", "user.5 - h a[p] m |x| i_k=\xc3\xa4?", 0 },
	/* what is no text */
	{ "<13>t: a\tb\x1b[31mc\x7f", "user.5 - - t[-] - |a b?[31mc?|", 0 },
	{ "<13>t: a\nb\r\n", "user.5 - - t[-] - |a b|", 0 },
	{ "<13>t: \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "user.5 - - t[-] - |\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80|", 0 },
	{ "<13>t: \xc3", "user.5 - - t[-] - |?|", 0 },
	{ "<13>t: \xc0\xaf\xe0\x80\xaf\xed\xa0\x80\xf4\x90\x80\x80", "user.5 - - t[-] - |????????????|", 0 },
	{ "<13>t: \xc2\x9b" "31m", "user.5 - - t[-] - |??31m|", 0 },
	{ "<13>t: 1234567\x01" "89012345678\xfe", "user.5 - - t[-] - |1234567?89012345678?|", 0 },
	{ "<13>Nov 28 00:59:58 h\x01st t: x", "user.5 2026-11-28T00:59:58 - -[-] - |h?st t: x|", 0 },
	{ "<13>\xc3\xa4nderung: x", "user.5 - - \xc3\xa4nderung[-] - |x|", 0 },
};

static const char *dash(const char *text)
{
	return *text ? text : "-";
}

static void time_text(int64_t time, char text[64])
{
	time_t s = (time_t)(time / NS_PER_S);
	int64_t ns = time % NS_PER_S;
	struct tm tm;
	size_t n;

	strcpy(text, "-");
	if (!time)
		return;
	gmtime_r(&s, &tm);
	n = strftime(text, 64, "%Y-%m-%dT%H:%M:%S", &tm);
	if (ns % 1000)
		snprintf(text + n, 64 - n, ".%09d", (int)ns);
	else if (ns % 1000000)
		snprintf(text + n, 64 - n, ".%06d", (int)(ns / 1000));
	else if (ns)
		snprintf(text + n, 64 - n, ".%03d", (int)(ns / 1000000));
}

static void line_text(const struct line *l, char *text, size_t size)
{
	char time[64], severity[12] = "-";
	int n;

	time_text(l->time, time);
	if (l->severity != LINE_NONE)
		snprintf(severity, sizeof(severity), "%u", l->severity);
	n = snprintf(text, size, "%s.%s %s %s %s[%s] %s |%s|", dash(line_facility(l->facility)), severity, time, dash(l->host), dash(l->identifier),
	             dash(l->pid), dash(l->msgid), l->message);
	for (uint32_t i = 0; i < l->n_params; i++)
		n += snprintf(text + n, size - (size_t)n, " %s=%s", l->params[i].key, l->params[i].value);
	if (*l->sequence)
		n += snprintf(text + n, size - (size_t)n, " #%s", l->sequence);
	if (l->malformed)
		snprintf(text + n, size - (size_t)n, " !");
}

static void parse(const char *text, size_t length, uint32_t flags, struct line *l)
{
	struct line_clock clock = { .now = NOW };
	/* Of exactly that size, so that whatever is read or written beyond is noticed. */
	char *copy = malloc(length + 1), result[4096];

	memcpy(copy, text, length);
	line_parse(copy, length, flags, &clock, l);
	line_text(l, result, sizeof(result)); /* reads all of it */
	free(copy);
}

START_TEST(every_form)
{
	setenv("TZ", "UTC", 1);
	tzset();
	ck_assert_uint_ge(KITH_COUNT(lines), 100);
	for (size_t i = 0; i < KITH_COUNT(lines); i++) {
		char copy[1024], result[2048];
		struct line_clock clock = { .now = NOW };
		struct line l;

		strcpy(copy, lines[i].text);
		line_parse(copy, strlen(copy), lines[i].flags, &clock, &l);
		line_text(&l, result, sizeof(result));
		ck_assert_msg(!strcmp(result, lines[i].want), "%s\n  is   %s\n  want %s", lines[i].text, result, lines[i].want);
	}
}
END_TEST

START_TEST(cut_at_every_byte)
{
	struct line l;

	for (size_t i = 0; i < KITH_COUNT(lines); i++)
		for (size_t n = 0; n <= strlen(lines[i].text); n++) {
			parse(lines[i].text, n, 0, &l);
			parse(lines[i].text, n, LINE_LOCAL, &l);
		}
}
END_TEST

/* Summer and winter of one zone, and what is remembered of it between lines */
START_TEST(local_times)
{
	static const struct {
		const char *text, *want;
	} table[] = {
		{ "Jul  1 12:00:00 h t: x", "2026-07-01T10:00:00" },
		{ "Nov 28 01:59:00 h t: x", "2026-11-28T00:59:00" },
		{ "Nov 28 01:59:59 h t: x", "2026-11-28T00:59:59" },
		{ "Nov 28 02:14:59 h t: x", "2026-11-28T01:14:59" },
		{ "2026-07-01 12:00:00 h t: x", "2026-07-01T10:00:00" },
		{ "2026-07-01T12:00:00Z h t: x", "2026-07-01T12:00:00" },
		{ "Jul  1 12:00:00 UTC h t: x", "2026-07-01T12:00:00" },
		{ "45: *Jul  1 12:00:00.5 UTC: %SYS-5-X: x", "2026-07-01T12:00:00.500" },
		{ "Jul  1 12:00:00 CEST: %SYS-5-X: x", "2026-07-01T10:00:00" },
		{ "Nov 28 01:59:00Z h t: x", "2026-11-28T01:59:00" },
	};
	struct line_clock clock = { .now = NOW };

	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < KITH_COUNT(table); i++) {
			char copy[64], time[64];
			struct line l;

			strcpy(copy, table[i].text);
			line_parse(copy, strlen(copy), 0, &clock, &l);
			time_text(l.time, time);
			ck_assert_str_eq(time, table[i].want);
		}
	setenv("TZ", "UTC", 1);
	tzset();
}
END_TEST

START_TEST(a_year_that_begins)
{
	struct line_clock clock = { .now = INT64_C(1798761600) * NS_PER_S }; /* 2027-01-01T00:00:00Z */
	char text[] = "Dec 31 23:59:59 h t: x", again[] = "Jan  1 00:00:01 h t: x", time[64];
	struct line l;

	setenv("TZ", "UTC", 1);
	tzset();
	line_parse(text, strlen(text), 0, &clock, &l);
	time_text(l.time, time);
	ck_assert_str_eq(time, "2026-12-31T23:59:59");
	line_parse(again, strlen(again), 0, &clock, &l);
	time_text(l.time, time);
	ck_assert_str_eq(time, "2027-01-01T00:00:01");
	clock = (struct line_clock){ .now = NOW };
	strcpy(again, "Jan  1 00:00:01 h t: x");
	clock.now = INT64_C(1798761599) * NS_PER_S;
	line_parse(again, strlen(again), 0, &clock, &l);
	clock.now = INT64_C(1798761601) * NS_PER_S;
	strcpy(text, "Dec 31 23:59:59 h t: x");
	line_parse(text, strlen(text), 0, &clock, &l);
	time_text(l.time, time);
	ck_assert_str_eq(time, "2026-12-31T23:59:59");
}
END_TEST

START_TEST(much_structured_data)
{
	char text[LINE_MAX_BYTES + 1] = "<13>1 - h a p m [id";
	size_t n = strlen(text);
	struct line_clock clock = { .now = NOW };
	struct line l;

	for (int i = 0; i < 40; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " key%d=\"%d\"", i, i);
	strcpy(text + n, "] x");
	line_parse(text, strlen(text), 0, &clock, &l);
	ck_assert_uint_eq(l.n_params, LINE_PARAMS_MAX);
	ck_assert_uint_eq(l.left_out, 40 - LINE_PARAMS_MAX);
	ck_assert_str_eq(l.params[21].key, "id_key21");
	ck_assert_str_eq(l.message, "x");
	/* and names that are too long in all */
	n = (size_t)snprintf(text, sizeof(text), "<13>1 - h a p m [id ");
	memset(text + n, 'k', 2000);
	strcpy(text + n + 2000, "=\"1\" short=\"2\"] x");
	line_parse(text, strlen(text), 0, &clock, &l);
	ck_assert_uint_eq(l.n_params, 1);
	ck_assert_uint_eq(l.left_out, 1);
	ck_assert_str_eq(l.params[0].key, "id_short");
}
END_TEST

START_TEST(long_names_are_cut)
{
	char text[LINE_MAX_BYTES + 1] = "<13>1 - h ";
	struct line_clock clock = { .now = NOW };
	struct entry e;
	struct line l;
	size_t n = strlen(text);

	memset(text + n, 'a', 127);
	strcpy(text + n + 127, "\xc3\xa4" "bc p m - x");
	line_parse(text, strlen(text), 0, &clock, &l);
	ck_assert_uint_eq(strlen(l.identifier), 127);
	entry_init(&e, NS_PER_S);
	entry_fill(&e, &l, NOW, KITH_INFO, NULL);
	ck_assert_uint_eq(strlen(e.record.subject), 4 + 127);
}
END_TEST

static const char *field(const struct entry *e, const char *key)
{
	for (uint32_t i = 0; i < e->record.n_fields; i++)
		if (!strcmp(e->fields[i].key, key))
			return e->fields[i].value;
	return NULL;
}

START_TEST(records)
{
	char cisco[] = "<189>45: *Nov 28 00:59:58: %SYS-5-CONFIG_I: x";
	char text[] = "<34>1 2026-11-28T00:59:58Z other app 12 ID - hello", none[] = "hello", old[] = "<13>1 2003-10-11T22:14:15Z - - - - - x", own[200];
	struct line_clock clock = { .now = NOW };
	struct entry e;
	struct line l;

	entry_init(&e, 86400 * NS_PER_S);
	line_parse(text, strlen(text), 0, &clock, &l);
	entry_fill(&e, &l, NOW, KITH_INFO, NULL);
	ck_assert_str_eq(e.record.subject, "log:app");
	ck_assert_uint_eq(e.record.priority, KITH_CRIT);
	ck_assert_int_eq(e.record.time, NOW - 2 * NS_PER_S);
	ck_assert_str_eq(field(&e, "host"), "other");
	ck_assert_str_eq(field(&e, "pid"), "12");
	ck_assert_str_eq(field(&e, "facility"), "auth");
	ck_assert_str_eq(field(&e, "msgid"), "ID");
	ck_assert_ptr_null(field(&e, "sequence"));
	line_parse(cisco, strlen(cisco), 0, &clock, &l);
	entry_fill(&e, &l, NOW, KITH_INFO, NULL);
	ck_assert_str_eq(e.record.subject, "log:%SYS-5-CONFIG_I");
	ck_assert_int_eq(e.record.time, NOW - 2 * NS_PER_S);
	ck_assert_str_eq(field(&e, "sequence"), "45");
	line_parse(none, strlen(none), 0, &clock, &l);
	entry_fill(&e, &l, NOW, KITH_INFO, NULL);
	ck_assert_str_eq(e.record.subject, "log:-");
	ck_assert_uint_eq(e.record.priority, KITH_INFO);
	ck_assert_uint_eq(e.record.n_fields, 0);
	ck_assert_int_eq(e.record.time, NOW);
	line_parse(old, strlen(old), 0, &clock, &l);
	entry_fill(&e, &l, NOW, KITH_INFO, "file");
	ck_assert_int_eq(e.record.time, NOW); /* its own is not sane */
	ck_assert_str_eq(e.record.subject, "log:file");
	snprintf(own, sizeof(own), "<13>Nov 28 00:59:58 %s a: x", e.local_host);
	line_parse(own, strlen(own), 0, &clock, &l);
	entry_fill(&e, &l, NOW, KITH_INFO, NULL);
	ck_assert_ptr_null(field(&e, "host"));
	for (int i = 0; i < 100; i++)
		entry_add(&e, "more", "x");
	ck_assert_uint_eq(e.record.n_fields, ENTRY_FIELDS_MAX);
}
END_TEST

/* ---- rates ----------------------------------------------------------------------------------------------------------- */

static uint64_t said, said_times;

static void say(const struct limit_source *source, void *user)
{
	(void)user;
	said += source->dropped;
	said_times++;
}

static struct limit_key key_of(unsigned i)
{
	return (struct limit_key){ { 1, i, i * 7u } };
}

START_TEST(a_rate_and_a_burst)
{
	struct limits *l = limits_new(8, 100, 1000, say, NULL);
	struct limit_key key = key_of(1);
	int64_t mono = 5 * NS_PER_S;
	unsigned kept = 0;

	said = said_times = 0;
	for (int i = 0; i < 2000; i++)
		kept += limits_take(l, limits_find(l, &key, mono), mono);
	ck_assert_uint_eq(kept, 1000);
	ck_assert(limits_dropped(l));
	limits_say(l);
	ck_assert_uint_eq(said, 1000);
	ck_assert_uint_eq(said_times, 1);
	ck_assert(!limits_dropped(l));
	mono += NS_PER_S;
	for (kept = 0; limits_take(l, limits_find(l, &key, mono), mono);)
		kept++;
	ck_assert_uint_ge(kept, 99);
	ck_assert_uint_le(kept, 100);
	/* the clock stood still or went back: nothing is given */
	ck_assert(!limits_take(l, limits_find(l, &key, mono - NS_PER_S), mono - NS_PER_S));
	limits_free(l);
}
END_TEST

START_TEST(more_sources_than_there_is_room_for)
{
	struct limits *l = limits_new(8, 10, 10, say, NULL);
	int64_t mono = 5 * NS_PER_S;
	unsigned kept = 0;

	said = said_times = 0;
	/* All at once: eight have their own bucket, the others one. */
	for (unsigned i = 0; i < 1000; i++) {
		struct limit_key key = key_of(i);

		for (int k = 0; k < 20; k++)
			kept += limits_take(l, limits_find(l, &key, mono), mono);
	}
	ck_assert_uint_eq(kept, 8 * 10 + 10);
	limits_say(l);
	ck_assert_uint_eq(said, 1000 * 20 - 90);
	ck_assert_uint_eq(said_times, 9);
	/* Later the oldest makes room, and what it dropped is said before. */
	for (unsigned i = 0; i < 8; i++) {
		struct limit_key key = key_of(i);

		for (int k = 0; k < 20; k++)
			limits_take(l, limits_find(l, &key, mono), mono);
	}
	said = said_times = 0;
	mono += 2 * LIMIT_IN_USE;
	for (unsigned i = 100; i < 108; i++) {
		struct limit_key key = key_of(i);

		ck_assert(!limits_find(l, &key, mono)->shared);
		ck_assert(limits_take(l, limits_find(l, &key, mono), mono));
	}
	ck_assert_uint_eq(said, 160);
	limits_free(l);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lines");
	TCase *tcase = tcase_create("lines");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, every_form);
	tcase_add_test(tcase, cut_at_every_byte);
	tcase_add_test(tcase, local_times);
	tcase_add_test(tcase, a_year_that_begins);
	tcase_add_test(tcase, much_structured_data);
	tcase_add_test(tcase, long_names_are_cut);
	tcase_add_test(tcase, records);
	tcase_add_test(tcase, a_rate_and_a_burst);
	tcase_add_test(tcase, more_sources_than_there_is_room_for);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
