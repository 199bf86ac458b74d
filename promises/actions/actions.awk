# What the actions do with text: takes the JSON document on standard input apart and makes of it what VERB says.
# POSIX awk, in the C locale: characters are bytes. Texts come on standard input and in the environment, where no awk changes them.
#
#   get            the value at $WANT (keys joined by "."), as text
#   document       the document that the environment's KITH_* say
#   summary        one line of it all
#   mail           a whole message: $MAIL_* say from whom, to whom, its thread
#   slack, alertmanager
#                  JSON of that shape
#   journal        fields as systemd's journal takes them
#   sd             structured data of RFC 5424, one parameter a line
#   extra-vars     YAML of the document, whose texts nobody expands
#   nested         the document as {"kith": ...}
#   curl           "$NAME = $VALUE" as a line of a curl configuration

# ---- bytes ----------------------------------------------------------------------------------------------------------

function bytes_init(   i)
{
	for (i = 1; i < 256; i++)
		BYTE[sprintf("%c", i)] = i
}

function hex(digits,   i, n)
{
	for (i = 1; i <= length(digits); i++)
		n = n * 16 + index("0123456789abcdef", tolower(substr(digits, i, 1))) - 1
	return n
}

function utf8(code)
{
	if (code == 0)
		return " "
	if (code < 128)
		return sprintf("%c", code)
	if (code < 2048)
		return sprintf("%c%c", 192 + int(code / 64), 128 + code % 64)
	if (code < 65536)
		return sprintf("%c%c%c", 224 + int(code / 4096), 128 + int(code / 64) % 64, 128 + code % 64)
	return sprintf("%c%c%c%c", 240 + int(code / 262144), 128 + int(code / 4096) % 64, 128 + int(code / 64) % 64,
	               128 + code % 64)
}

# The length in bytes of the character at the beginning of text
function character(text,   first, n, i)
{
	first = BYTE[substr(text, 1, 1)]
	n = first < 192 ? 1 : first < 224 ? 2 : first < 240 ? 3 : 4
	for (i = 2; i <= n; i++)
		if (BYTE[substr(text, i, 1)] < 128 || BYTE[substr(text, i, 1)] > 191)
			return 1
	return n
}

# One line: no control characters, no more than max bytes, no half character at its end
function one_line(text, max)
{
	gsub(/[\001-\037\177]+/, " ", text)
	sub(/^ +/, "", text)
	sub(/ +$/, "", text)
	return cut(text, max)
}

function cut(text, max)
{
	if (length(text) <= max)
		return text
	while (max > 0 && BYTE[substr(text, max + 1, 1)] > 127 && BYTE[substr(text, max + 1, 1)] < 192)
		max--
	return substr(text, 1, max) " ..."
}

# ---- JSON -----------------------------------------------------------------------------------------------------------

# The next token of JSON, which it is taken off from; "" at its end, or where there is none
function token_next(   token)
{
	sub(/^[ \t\r\n]+/, "", JSON)
	if (match(JSON, /^"([^"\\]|\\.)*"/) || match(JSON, /^[-+.0-9a-zA-Z]+/) || match(JSON, /^[][{}:,]/)) {
		token = substr(JSON, 1, RLENGTH)
		JSON = substr(JSON, RLENGTH + 1)
		return token
	}
	BAD = 1
	return ""
}

# A value, with all that is in it, into VALUE[path] (scalars, as they are written) and COUNT[path] (of arrays)
function json_value(path, token, depth,   key, n)
{
	if (depth > 32)
		BAD = 1
	if (token == "{") {
		for (token = token_next(); token != "}" && !BAD; token = token_next()) {
			if (token == ",")
				token = token_next()
			key = json_text(token)
			if (token !~ /^"/ || token_next() != ":")
				BAD = 1
			else
				json_value(path == "" ? key : path "." key, token_next(), depth + 1)
		}
	} else if (token == "[") {
		for (token = token_next(); token != "]" && !BAD; token = token_next()) {
			if (token == ",")
				token = token_next()
			json_value(path "." n + 0, token, depth + 1)
			n++
		}
		COUNT[path] = n + 0
	} else if (token ~ /^[]},:]/) {
		BAD = 1
	} else {
		VALUE[path] = token
	}
}

function json_read(   line, first)
{
	JSON = ""
	while ((getline line) > 0)
		JSON = JSON line "\n"
	first = token_next()
	if (first != "{")
		BAD = 1
	else
		json_value("", first, 0)
	sub(/^[ \t\r\n]+/, "", JSON)
	if (BAD || JSON != "") {
		print "what standard input holds is no JSON object" | "cat >&2"
		exit 1
	}
	# A message has it in the environment; else that of what it is about first
	if (!("severity" in VALUE) && ENVIRON["KITH_SEVERITY"] != "")
		VALUE["severity"] = json_string(ENVIRON["KITH_SEVERITY"])
	else if (!("severity" in VALUE) && "promises.0.severity" in VALUE)
		VALUE["severity"] = VALUE["promises.0.severity"]
}

function json_text(token,   out, at, c, code)
{
	if (token !~ /^"/)
		return token == "null" ? "" : token
	token = substr(token, 2, length(token) - 2)
	while ((at = index(token, "\\"))) {
		out = out substr(token, 1, at - 1)
		c = substr(token, at + 1, 1)
		token = substr(token, at + 2)
		if (c == "u") {
			code = hex(substr(token, 1, 4))
			token = substr(token, 5)
			if (code >= 55296 && code < 56320 && token ~ /^\\u[dD][c-fC-F]/) {
				code = 65536 + (code - 55296) * 1024 + hex(substr(token, 3, 4)) - 56320
				token = substr(token, 7)
			}
			out = out utf8(code)
		} else
			out = out (c == "n" ? "\n" : c == "t" ? "\t" : c == "r" ? "\r" : c == "b" ? "\b" : c == "f" ? "\f" : c)
	}
	return out token
}

# Text as a JSON string. ascii: what is not ASCII as \u and \U, which is YAML too
function json_string(text, ascii,   pattern, out, c)
{
	pattern = ascii ? "[\001-\037\"\\\\\177-\377]" : "[\001-\037\"\\\\\177]"
	while (match(text, pattern)) {
		out = out substr(text, 1, RSTART - 1)
		c = substr(text, RSTART, 1)
		if (BYTE[c] > 127) {
			c = substr(text, RSTART, character(substr(text, RSTART, 4)))
			out = out sprintf("\\U%08X", length(c) == 1 ? 65533 : code_of(c))
		} else if (c == "\"" || c == "\\")
			out = out "\\" c
		else
			out = out sprintf("\\u%04x", BYTE[c])
		text = substr(text, RSTART + length(c))
	}
	return "\"" out text "\""
}

function code_of(c,   code, i)
{
	code = BYTE[substr(c, 1, 1)]
	code = length(c) == 2 ? code - 192 : length(c) == 3 ? code - 224 : code - 240
	for (i = 2; i <= length(c); i++)
		code = code * 64 + BYTE[substr(c, i, 1)] - 128
	return code
}

# Text with a backslash before each character that is like the pattern
function escaped(text, pattern,   out)
{
	while (match(text, pattern)) {
		out = out substr(text, 1, RSTART - 1) "\\" substr(text, RSTART, 1)
		text = substr(text, RSTART + 1)
	}
	return out text
}

function value(path)
{
	return path in VALUE ? json_text(VALUE[path]) : ""
}

# ---- what it is about -----------------------------------------------------------------------------------------------

function host()
{
	return value("host") != "" ? value("host") : ENVIRON["ACTION_HOST"]
}

# A message of notices; else what an action is given
function is_message()
{
	return "subject" in VALUE
}

function standing()
{
	return value("to") == "kept" && value("from") == "broken" ? "is kept again" : "is " value("to")
}

function summary()
{
	if (is_message())
		return one_line(value("subject"), 240)
	return one_line(host() ": " value("promise") " " standing() " (" value("promiser") ")", 240)
}

function row(label, key)
{
	return substr(label "           ", 1, 11) one_line(value(key), 8000) "\n"
}

function body()
{
	if (is_message())
		return value("text") != "" ? value("text") : value("subject")
	return value("promise") " " standing() " on " host() ".\n\n" row("Promiser", "promiser") row("Severity", "severity") \
	       row("Since", "since") row("Because", "because") row("Before", "from") row("Time", "time") \
	       "\nWhat to do next:   kith explain " value("promise") "\n"
}

# ---- mail -----------------------------------------------------------------------------------------------------------

# A header's text: as it is, or in encoded words of at most 75 bytes, whole characters in each (RFC 2047)
function header(name, text,   out, word, room, c, n)
{
	text = one_line(text, 400)
	if (text !~ /[^ -~]/ && index(text, "=?") == 0 && length(text) < 900)
		return name ": " text
	room = 61 - length(name)
	while (text != "") {
		n = character(text)
		word = encoded(substr(text, 1, n))
		if (length(c) + length(word) > room) {
			out = out "=?UTF-8?Q?" c "?=\n "
			c = ""
			room = 61
		}
		c = c word
		text = substr(text, n + 1)
	}
	return name ": " out "=?UTF-8?Q?" c "?="
}

function encoded(c,   out, i, byte)
{
	if (c == " ")
		return "_"
	for (i = 1; i <= length(c); i++) {
		byte = substr(c, i, 1)
		out = out (byte ~ /[A-Za-z0-9]/ ? byte : sprintf("=%02X", BYTE[byte]))
	}
	return out
}

# A line in quoted-printable, of at most 76 bytes each
function quoted_printable(line,   out, c, word, n)
{
	while (line != "") {
		c = substr(line, 1, 1)
		line = substr(line, 2)
		word = c ~ /[!-<>-~]/ || (c == " " && line != "") ? c : sprintf("=%02X", BYTE[c])
		if (n + length(word) > 74) {
			out = out "=\n"
			n = 0
		}
		out = out word
		n += length(word)
	}
	return out
}

function mail(   text, lines, n, i, plain)
{
	text = body()
	gsub(/\r\n?/, "\n", text)
	gsub(/[\001-\010\013-\037\177]/, " ", text)
	n = split(text, lines, "\n")
	plain = text !~ /[^\n\t -~]/
	for (i = 1; i <= n; i++)
		if (length(lines[i]) > 900)
			plain = 0
	print "From: " ENVIRON["MAIL_FROM"]
	print "To: " ENVIRON["MAIL_TO"]
	print header("Subject", summary())
	if (ENVIRON["MAIL_DATE"] != "")
		print "Date: " ENVIRON["MAIL_DATE"]
	print "Message-ID: <kith." ENVIRON["MAIL_ID"] "@" ENVIRON["MAIL_HOST"] ">"
	print "In-Reply-To: <kith." ENVIRON["MAIL_THREAD"] "@" ENVIRON["MAIL_HOST"] ">"
	print "References: <kith." ENVIRON["MAIL_THREAD"] "@" ENVIRON["MAIL_HOST"] ">"
	print "Auto-Submitted: auto-generated"
	print header("X-Kith-Assessment", is_message() ? value("what") : value("to"))
	print header("X-Kith-Severity", value("severity"))
	print "MIME-Version: 1.0"
	print "Content-Type: text/plain; charset=UTF-8"
	print "Content-Transfer-Encoding: " (plain ? "7bit" : "quoted-printable")
	print ""
	if (lines[n] == "")
		n--
	for (i = 1; i <= n; i++)
		print plain ? lines[i] : quoted_printable(lines[i])
}

# ---- other shapes ---------------------------------------------------------------------------------------------------

function slack(   text)
{
	text = summary()
	if (is_message())
		text = text "\n" body()
	else
		text = text "\n" value("severity") ": " value("because")
	text = cut(text, 3500)
	gsub(/&/, "\\&amp;", text)
	gsub(/</, "\\&lt;", text)
	gsub(/>/, "\\&gt;", text)
	return "{\"text\":" json_string(text) "}"
}

# Of one promise at path ("" or "promises.N."): `now` is what it is, `from` and `until` when that began and ends. An alert that ends
# without a beginning is what is known there already.
function alert(path, name, now, from, until,   out)
{
	out = "{\"labels\":{\"alertname\":" json_string(name)
	out = out ",\"instance\":" json_string(host())
	out = out ",\"promiser\":" json_string(value(path "promiser"))
	out = out ",\"severity\":" json_string(value(path "severity")) "},"
	out = out "\"annotations\":{\"summary\":" json_string(one_line(name " is " now " on " host(), 240))
	out = out ",\"description\":" json_string(value(path "because")) "}"
	if (from != "")
		out = out ",\"startsAt\":" json_string(from)
	return out ",\"endsAt\":" json_string(until) "}"
}

function alertmanager(   out, i, path, what)
{
	if (!is_message() && value("to") == "kept")
		return "[" alert("", value("promise"), "kept", "", value("since")) "]"
	if (!is_message())
		return "[" alert("", value("promise"), value("to"), value("since"), ENVIRON["ALERT_UNTIL"]) "]"
	for (i = 0; i < COUNT["promises"]; i++) {
		path = "promises." i "."
		what = value(path "what") != "" ? value(path "what") : value("what")
		out = out (i ? "," : "")
		if (what == "kept" || what == "gone")
			out = out alert(path, value(path "name"), what == "kept" ? "kept again" : "no longer promised", "", value("time"))
		else
			out = out alert(path, value(path "name"), value(path "assessment"), value(path "since"), ENVIRON["ALERT_UNTIL"])
	}
	return "[" out "]"
}

function journal(   keys, n, i)
{
	print "MESSAGE=" ENVIRON["LOG_MESSAGE"]
	print "PRIORITY=" ENVIRON["LOG_PRIORITY"]
	print "SYSLOG_FACILITY=" ENVIRON["LOG_FACILITY"]
	print "SYSLOG_IDENTIFIER=" ENVIRON["LOG_TAG"]
	n = split("promise promiser from to severity since because time host receiver what", keys, " ")
	for (i = 1; i <= n; i++)
		if (keys[i] in VALUE)
			print "KITH_" toupper(keys[i]) "=" one_line(value(keys[i]), 4000)
}

function structured(   keys, n, i, text)
{
	n = split("promise promiser from to severity since because host receiver what", keys, " ")
	for (i = 1; i <= n; i++) {
		if (!(keys[i] in VALUE))
			continue
		text = one_line(value(keys[i]), 1000)
		print keys[i] "=\"" escaped(text, "[]\"\\\\]") "\""
	}
}

function document(   keys, n, i, out)
{
	n = split("promise promiser from to severity since because time subject what host receiver count text", keys, " ")
	for (i = 1; i <= n; i++)
		if (("KITH_" toupper(keys[i])) in ENVIRON)
			out = out (out == "" ? "" : ",") "\"" keys[i] "\":" json_string(ENVIRON["KITH_" toupper(keys[i])])
	if (out != "")
		print "{" out "}"
}

# Texts of a promise may hold what Ansible would expand, and run: !unsafe keeps it from that.
function extra_vars(   keys, n, i, out)
{
	n = split("promise promiser from to severity since because time", keys, " ")
	for (i = 1; i <= n; i++)
		if (keys[i] in VALUE)
			out = out (out == "" ? "" : ", ") keys[i] ": !unsafe " json_string(value(keys[i]), 1)
	print "{kith: {" out "}}"
}

function nested(   keys, n, i, out)
{
	n = split("promise promiser from to severity since because time", keys, " ")
	for (i = 1; i <= n; i++)
		if (keys[i] in VALUE)
			out = out (out == "" ? "" : ",") "\"" keys[i] "\":" json_string(value(keys[i]))
	print "{\"kith\":{" out "}}"
}

function curl_line(name, text)
{
	print name " = \"" escaped(text, "[\"\\\\]") "\""
}

BEGIN {
	bytes_init()
	if (VERB == "document")
		document()
	else if (VERB == "curl")
		curl_line(ENVIRON["NAME"], ENVIRON["VALUE"])
	else
		json_read()
	if (VERB == "get")
		print value(ENVIRON["WANT"])
	else if (VERB == "summary")
		print summary()
	else if (VERB == "mail")
		mail()
	else if (VERB == "slack")
		print slack()
	else if (VERB == "alertmanager")
		print alertmanager()
	else if (VERB == "journal")
		journal()
	else if (VERB == "sd")
		structured()
	else if (VERB == "extra-vars")
		extra_vars()
	else if (VERB == "nested")
		nested()
}
